// The dashboard's files, put into the binary when it is built (dashboard/): it works offline.
#pragma once

#include <string_view>

namespace nestor::cli {

/// The file at "/", "/dashboard.css" or "/dashboard.js"; empty for other paths.
std::string_view dashboard_page(std::string_view path);

} // namespace nestor::cli
