// What is said to a Docker engine, and how it tells of containers: the part of the Engine API that we use, as values.
// Facts: docs.docker.com/reference/api/engine (v1.41), Podman 4.3's compatible service where it differs.
#pragma once

#include <nestor/providers/internal/json_answer.hpp>
#include <nestor/providers/rest.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nestor::providers::internal {

/// The path of the account's socket, written as such or as DOCKER_HOST has it ("unix:///run/docker.sock"); empty when
/// it is neither.
std::string socket_of(const account& who);

/// A call to the engine. `target` begins behind the version; `body` null: none.
http_call engine_call(const account& who, http::method verb, const std::string& target,
                      const nlohmann::json& body = {});

/// "/containers/ID", and what follows.
std::string container_path(std::string_view id, std::string_view rest);

/// A container as an inspection tells of it.
struct container {
  std::string id;
  std::string status; ///< created, running, paused, restarting, removing, exited, dead
  std::int64_t exit_code = 0;
  std::string error;
  std::uint16_t port = 0; ///< of the host, where its one published port is; 0: not published now
  bool limits_cpu = false;
  bool limits_memory = false;
  std::string installation, sandbox, number; ///< of its labels

  [[nodiscard]] bool up() const { return (status == "running" || status == "paused") && port != 0; }
  [[nodiscard]] bool over() const { return status == "exited" || status == "dead"; }
};

/// Nothing when that is no inspection's answer.
std::optional<container> container_of(const http::response& response);

/// {"label": ["NAME=VALUE", …]}: containers that carry all of them.
nlohmann::json label_filter(const std::vector<std::pair<std::string, std::string>>& wanted);

/// Why a container is being taken away again, and which: carried while that is done.
struct ending {
  std::string id;
  errc code = errc::provision_failed;
  std::string cause;
};
wiped_string pack(const ending& e);
ending unpack(std::string_view text);

/// Both streams of a command or a log. The engine sends them in frames of one connection: stream, three zeros, length.
struct streams {
  std::string out, err;
  std::string both; ///< as they came
};
streams streams_of(std::string_view framed);

/// Its end, for a person: one line, bounded.
std::string tail_of(std::string_view text);

} // namespace nestor::providers::internal
