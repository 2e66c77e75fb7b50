// One child and its guardian: the socket to the guardian, the output, the guardian's own end. Internal to
// io/processes, which hears of everything by way of `owner`.
#pragma once

#include <nestor/io/output_tail.hpp>
#include <nestor/io/poller.hpp>
#include <nestor/seam/io_request.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace nestor::io {

class guarded_child {
public:
  class owner {
  public:
    virtual void started(guarded_child& child) = 0;
    virtual void refused(guarded_child& child, process_refused why) = 0;
    /// None of the tree is left.
    virtual void gone(guarded_child& child, process_absent how) = 0;
    /// The guardian has ended without a word (somebody killed it): the child may live on, unguarded.
    virtual void unguarded(guarded_child& child) = 0;
    /// Nothing of it, not even a zombie, is left; it may be destroyed, but not from inside.
    virtual void over(guarded_child& child) = 0;

  protected:
    ~owner() = default;
  };

  guarded_child(poller& readiness, owner& whose) : poller_(readiness), owner_(whose) {}
  /// Lets go of the guardian, which then ends the tree unless told to stay.
  ~guarded_child();
  guarded_child(const guarded_child&) = delete;
  guarded_child& operator=(const guarded_child&) = delete;

  /// Starts the guardian. Nothing when that went well: `started` or `refused` follows. Else why not.
  std::optional<process_refused> start(const std::string& guardian, const process_spawn& what, std::uint16_t port);

  /// Asks the guardian to end the tree.
  void end(milliseconds grace);

  /// Closes the socket to the guardian.
  void let_go();
  /// Waits for the guardian's end and collects it; false when it is still there at `until` (ms, steady clock of poll).
  bool collect(milliseconds most);

  [[nodiscard]] const process_ref& ref() const { return ref_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& marker() const { return marker_; }
  [[nodiscard]] bool stays() const { return stays_; }
  /// What it printed last, as `output_tail::text`; a line that is not whole yet is left out: half a secret would not
  /// be recognised.
  [[nodiscard]] std::string printed() const;
  /// Its guardian is there and will say what becomes of it.
  [[nodiscard]] bool guarded() const { return ended_ || (control_.fd >= 0 && !settled_); }

private:
  /// A descriptor and what to do when it is ready.
  struct source final : watcher {
    guarded_child& child;
    void (guarded_child::*heard)();
    int fd = -1;
    poller::token token = poller::none;

    source(guarded_child& whose, void (guarded_child::*then)()) : child(whose), heard(then) {}
    ~source() { close(); }
    bool open(int opened);
    void close();
    void ready(std::uint32_t) override { (child.*heard)(); }
  };

  void hear_guardian();
  void read_output();
  void guardian_ended();
  void finish_if_over();

  poller& poller_;
  owner& owner_;
  source control_{*this, &guarded_child::hear_guardian};
  source output_{*this, &guarded_child::read_output};
  source exit_{*this, &guarded_child::guardian_ended};
  pid_t guardian_ = 0;
  process_ref ref_;
  std::uint16_t port_ = 0;
  std::string marker_;
  bool stays_ = false, started_ = false, settled_ = false;
  std::vector<secret> secrets_;
  output_tail tail_;
  std::optional<process_absent> ended_;
};

} // namespace nestor::io
