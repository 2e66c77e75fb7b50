// Reads the members of the node's configuration that concern `serve`. Only node_config.cpp includes this.
#pragma once

#include <nestor/node/node_config.hpp>
#include <nestor/sandbox/internal/json_tree.hpp>

#include <array>
#include <string_view>
#include <vector>

namespace nestor::internal {

/// Members of the document that are read here.
inline constexpr std::array<std::string_view, 9> serve_members{"state", "listen", "hosts", "tls",   "retention",
                                                               "sweep", "http",   "log",   "traces"};
/// … and of `limits`.
inline constexpr std::array<std::string_view, 2> serve_limits{"per_tenant", "connections"};

/// NESTOR_STATE and NESTOR_LISTEN win over the document, OpenTelemetry's own variables stand in for `traces`.
void read_serve(const json_tree& root, const environment_lookup& environment, serve_config& into,
                std::vector<fault>& faults);

/// "127.0.0.1:7077", "[::1]:0". False when it is none.
bool read_listen(std::string_view text, serve_config& into);
/// 127.0.0.0/8 and ::1.
bool is_loopback(std::string_view address);

} // namespace nestor::internal
