// A node over a journal, in a process of its own that may be killed at any instant: it works on sandboxes at random, or
// comes to rest and tells what it has. Forked, so that a test can count on its own memory being what it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace nestor::tests {

struct life_order {
  std::string folder;        ///< the journal and its keys are here
  std::string bin;           ///< nestor-guardian and nestor-nested-server are there
  std::string static_server; ///< URL of a server with a state for each path
  std::uint64_t seed = 1;
  std::size_t sandboxes = 8; ///< at a time
  enum class doing { work, rest, drain } what = doing::work;
};

/// The process of a life, and what it says: one line each. "up INSTALLATION", "accepted ID", "ending ID" (its end was
/// promised), "event", and of a rest: "alive ID WORD", "ready ID GENERATION URL KEY", "ended ID", "rested".
class life {
public:
  explicit life(const life_order& order);
  ~life();
  life(const life&) = delete;
  life& operator=(const life&) = delete;

  /// The next line; nothing when it has ended, or is silent for `within_ms`.
  std::optional<std::string> line(int within_ms);
  /// SIGKILL, and its end.
  void kill();
  /// Its exit status once it has ended by itself.
  int wait();

private:
  pid_t pid_ = 0;
  int from_ = -1;
  std::string read_;
};

} // namespace nestor::tests
