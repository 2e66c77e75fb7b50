// Turns what a node tells its observer into lines for a person: one per step that ended, with its time.
#pragma once

#include "local_node.hpp"
#include "terminal.hpp"

#include <map>
#include <string>

namespace nestor::cli {

class timeline {
public:
  explicit timeline(terminal& out) : out_(out) {}

  /// Sandboxes with a title get it in front of their lines.
  void title(const sandbox_id& id, std::string text) {
    widest_ = std::max(widest_, text.size());
    titles_[id.text] = std::move(text);
  }
  void show(const told& what);
  /// The failure of a sandbox that came to rest without being Ready: what, why, what to do.
  void show_failure(const sandbox_view& seen);

private:
  void show(const actors::status_changed& changed);
  void show(const actors::step_changed& changed);
  void show(const interrupted&) {}
  [[nodiscard]] std::string titled(const sandbox_id& id, std::string_view step) const;

  terminal& out_;
  std::map<std::string, std::string> titles_;
  std::size_t widest_ = 0;
};

} // namespace nestor::cli
