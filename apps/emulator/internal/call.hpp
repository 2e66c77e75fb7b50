// One request on its way through a cloud's route table, taken apart once. Owned by whoever still has to answer it:
// long-polls and commands keep it beyond the call that brought it.
#pragma once

#include <emulator/cloud.hpp>

#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::emulator {

/// In order of insertion: answers read like the originals.
using json = nlohmann::ordered_json;

struct call {
  http::request request;
  std::string path;  ///< without the query, still encoded
  std::string query; ///< without '?', still encoded
  std::string host;  ///< without port, lower case
  affliction ill;
  caller back;
  std::vector<std::string> args; ///< what stood for each {} of the route, decoded

  [[nodiscard]] std::string header(std::string_view name) const;
  [[nodiscard]] bool has_header(std::string_view name) const;
  /// Decoded once; the first of that name.
  [[nodiscard]] std::optional<std::string> parameter(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> parameters(std::string_view name) const;
  /// The body as an object; nothing when it is none. An empty body is {}.
  [[nodiscard]] std::optional<json> object() const;

  void answer(std::uint16_t status) const;
  void answer(std::uint16_t status, const json& body) const;
  void answer(http::response r) const;
};
using call_ref = std::shared_ptr<call>;

call_ref take_call(const http::request& request, const affliction& ill, caller back);

/// `pattern` has one {} for each segment that varies; a last {*} takes the rest.
bool fits(std::string_view pattern, std::string_view path, std::vector<std::string>& args);

template <class Cloud>
struct cloud_route {
  http::method verb;
  std::string_view pattern;
  void (Cloud::*handle)(const call_ref&);
};

/// Hands the call to the first route that fits; false when none does.
template <class Cloud>
bool dispatch(Cloud& cloud, std::span<const cloud_route<Cloud>> routes, const call_ref& c) {
  for (const auto& r : routes) {
    c->args.clear();
    if (r.verb == c->request.verb && fits(r.pattern, c->path, c->args)) {
      (cloud.*r.handle)(c);
      return true;
    }
  }
  return false;
}

http::response response_of(std::uint16_t status, const json& body);
std::string percent_decoded(std::string_view text);

/// `3000-abc.proxy.localhost` is port 3000 of `abc`; nothing for other hosts.
struct port_host {
  std::uint16_t port = 0;
  std::string name;
};
std::optional<port_host> port_host_of(std::string_view host);

/// A member's text; empty when it is absent or no string.
std::string text_at(const json& object, std::string_view name);
/// A member's number; `fallback` when it is absent or none.
std::int64_t number_at(const json& object, std::string_view name, std::int64_t fallback);
bool flag_at(const json& object, std::string_view name, bool fallback);
/// An object of strings as pairs.
variables variables_at(const json& object, std::string_view name);
json object_of(const variables& pairs);

/// 2026-11-21T19:44:25.270Z
std::string iso_time(std::int64_t ms);
std::string hex_id(std::uint64_t& seed, std::size_t digits);
std::string uuid(std::uint64_t& seed);
/// Lower-case letters and digits.
std::string word_id(std::uint64_t& seed, std::size_t letters);

std::string base64(std::string_view bytes);
std::optional<std::string> base64_decoded(std::string_view text);

/// Does this image exist? Names that begin with "no-such" do not.
bool image_exists(std::string_view image);
/// Does this image start a nested server by itself? Names that begin with "bare" do not.
bool image_serves(std::string_view image);

/// Counts in windows of a fixed length.
class rate_window {
public:
  rate_window(std::uint32_t most, microseconds length) : most_(most), length_(length) {}
  /// Counts one; false when the window is full. 0 as the most: never full.
  bool take(instant now);
  /// Whole seconds until the window ends, at least 1.
  [[nodiscard]] std::int64_t seconds_left(instant now) const;
  [[nodiscard]] std::uint32_t left() const { return most_ > taken_ ? most_ - taken_ : 0; }

private:
  std::uint32_t most_;
  microseconds length_;
  instant begun_;
  std::uint32_t taken_ = 0;
};

/// What a request asks of a port inside, without what belongs to this connection or to the provider's own access.
http::request inner_request(const call& c, std::span<const std::string_view> own_headers);

} // namespace nestor::emulator
