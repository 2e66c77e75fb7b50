// What clients asked, in order, as a JSON document to compare others' requests with. Keys never get into it.
#pragma once

#include <nestor/http/message.hpp>

#include <string>
#include <string_view>

namespace nestor::emulator {

/// Requests kept; more are dropped. A script makes a few hundred.
inline constexpr std::size_t recorded_max = 10'000;

class recording {
public:
  void note(std::string_view cloud, const http::request& request, std::uint16_t status);
  /// [{"cloud","method","target","headers":{…},"json"|"body"|"message":…,"status"}]: bodies that are JSON as such,
  /// gRPC's messages in hexadecimal.
  [[nodiscard]] std::string text() const;

private:
  std::string entries_;
  std::size_t count_ = 0;
};

} // namespace nestor::emulator
