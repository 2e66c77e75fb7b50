// multipart/form-data as the SDKs write it and as Daytona's toolbox answers it (RFC 7578). Knows no HTTP.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::emulator {

struct form_part {
  std::string name;
  std::string filename;
  std::string_view content; ///< into the body
};

/// Nothing when `content_type` names no boundary or the body does not keep to it.
std::optional<std::vector<form_part>> form_parts(std::string_view content_type, std::string_view body);

/// The part of that name; nullptr when there is none.
const form_part* part_named(const std::vector<form_part>& parts, std::string_view name);

} // namespace nestor::emulator
