// Child processes: started, looked at, ended with everything they started, captured output. Values in, values out
// (seam/io_request.hpp). Knows no provider. Every child runs under a guardian process (apps/guardian) that answers for
// its whole tree, so that none of it survives us by accident (kill -9 included) and "absent" means none of it is left.
#pragma once

#include <nestor/seam/io_request.hpp>

#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace nestor::io {

struct processes_options {
  /// The guardian's program. Empty: `nestor-guardian` beside our own program, or in `../bin` of it.
  std::string guardian;
  bool children_stay = false;           ///< they outlive us, whatever each spawn says
  std::size_t children = 4'096;         ///< at a time: three descriptors and one guardian each
  std::size_t endings_remembered = 256; ///< ended children whose status and output `look` still tells
  milliseconds kill_takes{5'000};       ///< beyond the grace: how long the kernel may take to end what was killed
};

/// Used from the io_context's one thread, and keeps that io_context supplied with work. Installs no signal handler and
/// waits for no process that is not its own. Answers come on that thread, never inside the call; each is given once.
///
/// Stdout and stderr of a child are captured, their last lines told when it has ended, with the values of its
/// `secret_env` replaced.
class processes {
public:
  using answer = std::function<void(io_reply)>;

  explicit processes(boost::asio::io_context& context, processes_options options = {});
  /// Ends, and waits at most a second for, children that do not outlive us. Nobody is answered.
  ~processes();
  processes(const processes&) = delete;
  processes& operator=(const processes&) = delete;

  /// `process_started`, or `process_refused` with what the system said; `passing` when it may succeed later.
  void spawn(process_spawn what, answer done);

  /// `process_absent` when none of the tree is left, also when it was gone before; `process_refused` when something of
  /// it is still there after grace and `kill_takes`. Works for a child of an earlier node too, by its guardian.
  void end(process_end what, answer done);

  /// `process_present` while anything of the tree is there, else `process_absent`.
  void look(process_look what, answer done);

  /// `process_started` for the child with that marker, ours or an earlier node's, `process_absent` when there is none,
  /// `process_refused` (passing) while it is being started or ended by an earlier node's guardian.
  void find(process_find what, answer done);

  /// `process_printed`: what a child of ours that lives, or ended a short while ago, printed last, with the values of
  /// its `secret_env` replaced.
  void output(process_output of, answer done);

  /// Calls once, when none of the tree is left.
  void watch(process_ref process, std::function<void(process_absent)> gone);

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace nestor::io
