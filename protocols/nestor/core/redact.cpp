#include <nestor/core/redact.hpp>

#include <nestor/http/url.hpp>

#include <sodium.h>

#include <algorithm>
#include <functional>
#include <vector>

namespace nestor {
namespace {

constexpr std::string_view mark = "<secret>";

void replace_all(std::string& text, std::string_view what) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + mark.size()))
    text.replace(at, what.size(), mark);
}

/// As every JSON writer does it: short escapes where there are any, \u00xx for other control characters.
std::string json_escaped(std::string_view raw) {
  constexpr std::string_view escaped = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt", digits = "0123456789abcdef";
  std::string out;
  for (char c : raw) {
    auto byte = static_cast<unsigned char>(c);
    if (auto at = escaped.find(c); at != std::string_view::npos)
      out.append({'\\', letters[at]});
    else if (byte < 0x20)
      out.append("\\u00").append({digits[byte >> 4U], digits[byte & 15U]});
    else
      out += c;
  }
  return out;
}

std::string hex(std::string_view raw) {
  std::string out(raw.size() * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), reinterpret_cast<const unsigned char*>(raw.data()), raw.size());
  out.pop_back();
  return out;
}

/// The characters of base64 text that depend on `raw` alone, whatever stands before and after it.
std::string base64_core(std::string_view raw, std::size_t offset, int variant) {
  std::string padded(offset, '\0');
  padded += raw;
  std::string out(sodium_base64_encoded_len(padded.size(), variant), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(padded.data()), padded.size(),
                    variant);
  out.resize(padded.size() * 8 / 6); // complete characters only; also drops the terminator
  wipe(padded);
  constexpr std::size_t first_whole[] = {0, 2, 3};
  return out.substr(first_whole[offset]);
}

void add_forms(std::vector<std::string>& forms, std::string_view raw) {
  if (raw.size() < redact_length_min)
    return;
  for (auto& form : {std::string{raw}, json_escaped(raw), http::encode_segment(raw), hex(raw)})
    forms.push_back(form);
  for (std::size_t offset = 0; offset < 3; ++offset)
    for (int variant : {sodium_base64_VARIANT_ORIGINAL_NO_PADDING, sodium_base64_VARIANT_URLSAFE_NO_PADDING})
      forms.push_back(base64_core(raw, offset, variant));
}

/// The lines of a value that has several, long enough to be told from ordinary text.
void add_lines(std::vector<std::string>& forms, std::string_view raw) {
  for (std::size_t at = 0; raw.find('\n') != std::string_view::npos && at < raw.size();) {
    auto end = std::min(raw.find('\n', at), raw.size());
    if (end - at >= redact_line_min)
      add_forms(forms, raw.substr(at, end - at));
    at = end + 1;
  }
}

} // namespace

std::string redact(std::string text, std::span<const secret> secrets) {
  std::vector<std::string> forms;
  for (const auto& each : secrets)
    each.expose([&](std::string_view raw) {
      add_forms(forms, raw);
      add_lines(forms, raw);
    });
  // One may be the beginning of another, whose rest would then stay.
  std::ranges::stable_sort(forms, std::ranges::greater{}, &std::string::size);
  for (auto& form : forms) {
    if (form.size() >= redact_length_min)
      replace_all(text, form);
    wipe(form);
  }
  return text;
}

} // namespace nestor
