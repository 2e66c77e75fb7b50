// How the address of a journal begins, by the database that holds it.
#pragma once

#include <string_view>

namespace nestor {

/// The path of a file follows.
inline constexpr std::string_view journal_scheme = "sqlite://";
/// USER@HOST:PORT/DATABASE?OPTION=VALUE follows, as libpq reads it. May hold a password: never shown as it is.
inline constexpr std::string_view postgresql_scheme = "postgresql://";

} // namespace nestor
