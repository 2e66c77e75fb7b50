// A small file that is replaced in one step: after a crash it is the old one or the new one. Nobody but its owner may
// read it.
#pragma once

#include <string>
#include <string_view>

namespace nestor::io {

enum class put : unsigned char { replaces, only_anew };

/// Writes `text` to `path`, mode 0600, durable when it returns. False, and errno says why, when it could not.
bool put_file(const std::string& path, std::string_view text, put how = put::replaces);

} // namespace nestor::io
