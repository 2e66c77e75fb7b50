// A server model behind its faults: what a client meets. A socket layer carries out what `wire_reply` says; a test or a
// simulation turns it into a response or a transport error. No socket and no clock here.
#pragma once

#include <nested_server/faults.hpp>
#include <nested_server/model.hpp>

#include <cstddef>
#include <limits>

namespace nestor::nested_server {

/// What happens on the wire instead of, or besides, an answer.
struct wire_reply {
  enum class way : std::uint8_t {
    answer, ///< `response`, after `delay`
    reset,  ///< the connection is reset
    hang,   ///< nothing, until the client gives up
    die     ///< the process ends
  };
  way how = way::answer;
  http::response response;
  milliseconds delay{0};
  milliseconds per_byte{0}; ///< more than 0: the body goes byte by byte
  /// The connection ends after that many bytes of the body, though more were announced.
  std::size_t body_sent = std::numeric_limits<std::size_t>::max();
};

class faulty_server {
public:
  /// Throws std::invalid_argument when there is no such dialect.
  explicit faulty_server(model_options options, fault_plan faults = fault_plan{}, instant started = {});

  /// One connection was made; false: close it before reading.
  bool accepts_connection() { return !faults_.refuses_connection(); }
  wire_reply handle(const http::request& request, instant now, std::string_view client);

  server_model& model() { return model_; }
  [[nodiscard]] const server_model& model() const { return model_; }
  [[nodiscard]] const fault_plan& faults() const { return faults_; }
  void set_faults(fault_plan faults) { faults_ = std::move(faults); }

private:
  wire_reply hit(const fault_rule& fault, const http::request& request, instant now, std::string_view client);

  server_model model_;
  fault_plan faults_;
};

} // namespace nestor::nested_server
