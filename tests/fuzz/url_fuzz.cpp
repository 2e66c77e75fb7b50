// Whatever somebody writes as a URL: it is refused, or its normal form reads back as the same URL.
#include <nestor/http/url.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  auto text = std::string_view{reinterpret_cast<const char*>(bytes), size};
  auto url = nestor::http::parse_url(text);
  if (url && nestor::http::parse_url(nestor::http::to_string(*url)) != url)
    std::abort();
  return 0;
}
