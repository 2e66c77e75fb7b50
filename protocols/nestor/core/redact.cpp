#include <nestor/core/redact.hpp>

#include <nestor/http/url.hpp>

#include <sodium.h>

#include <vector>

namespace nestor {
namespace {

constexpr std::string_view mark = "<secret>";

void replace_all(std::string& text, std::string_view what) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + mark.size()))
    text.replace(at, what.size(), mark);
}

std::string json_escaped(std::string_view raw) {
  std::string out;
  for (char c : raw) {
    if (c == '"' || c == '\\')
      out += '\\';
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

} // namespace

std::string redact(std::string text, std::span<const secret> secrets) {
  for (const auto& each : secrets)
    each.expose([&](std::string_view raw) {
      if (raw.size() < redact_length_min)
        return;
      std::vector<std::string> forms{std::string{raw}, json_escaped(raw), http::encode_segment(raw), hex(raw)};
      for (std::size_t offset = 0; offset < 3; ++offset)
        for (int variant : {sodium_base64_VARIANT_ORIGINAL_NO_PADDING, sodium_base64_VARIANT_URLSAFE_NO_PADDING})
          forms.push_back(base64_core(raw, offset, variant));
      for (auto& form : forms) {
        if (form.size() >= redact_length_min)
          replace_all(text, form);
        wipe(form);
      }
    });
  return text;
}

} // namespace nestor
