// Stands between a client and a PostgreSQL server on unix sockets and, when told to, takes the answer to the next
// commit away: the server has committed, the client sees a connection that broke.
#pragma once

#include <atomic>
#include <string>
#include <thread>

namespace nestor::tests {

class commit_cutter {
public:
  /// Listens in `folder` as a server would, and passes on to the one that listens in `to`.
  commit_cutter(const std::string& folder, const std::string& to);
  ~commit_cutter();
  commit_cutter(const commit_cutter&) = delete;
  commit_cutter& operator=(const commit_cutter&) = delete;

  void cut_next() { armed_ = true; }
  [[nodiscard]] int cuts() const { return cuts_; }

private:
  void serve();
  void pass_on(int client) const;
  bool passed(int from, int to) const;

  std::string to_;
  int listener_ = -1;
  int stop_[2] = {-1, -1};
  mutable std::atomic<bool> armed_ = false;
  mutable std::atomic<int> cuts_ = 0;
  std::thread thread_;
};

} // namespace nestor::tests
