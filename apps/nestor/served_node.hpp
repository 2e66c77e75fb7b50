// A node with its HTTP server and API DESK, put together and taken apart in the right order. Knows no signals and no
// command line.
#pragma once

#include "state_folder.hpp"

#include <nestor/actors/system.hpp>
#include <nestor/node/log_line.hpp>
#include <nestor/node/node_config.hpp>

#include <memory>
#include <string>

namespace nestor::cli {

class served_node {
public:
  /// Listens when this returns, and has every sandbox of its journal again.
  /// Throws std::runtime_error or std::system_error, naming what failed.
  served_node(const node_config& config, const state_folder& state, api::token_book tokens);
  /// Sandboxes stay as they are: a node that is started over the same journal has them again.
  ~served_node();
  served_node(const served_node&) = delete;
  served_node& operator=(const served_node&) = delete;

  /// Where it answers: "http://127.0.0.1:7077".
  [[nodiscard]] const std::string& url() const;
  /// A line of its log.
  void say(log_level level, std::string_view event, std::string_view text);
  /// What may change while it runs: the host names that it answers to.
  void reload(const node_config& config);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace nestor::cli
