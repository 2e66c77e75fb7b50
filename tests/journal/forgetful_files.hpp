// A file layer for SQLite that keeps all files in memory and forgets like a disk: what was written and not synced is,
// after a crash, there, not there, or there in part. It takes the place of SQLite's own for as long as it lives.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace nestor::tests {

class forgetful_files {
public:
  explicit forgetful_files(std::uint64_t seed);
  ~forgetful_files();
  forgetful_files(const forgetful_files&) = delete;
  forgetful_files& operator=(const forgetful_files&) = delete;

  /// The machine goes down at the `n`-th write, truncation or sync from now on: everything fails from there.
  void crash_after(std::uint64_t n) { left_ = n; }
  [[nodiscard]] bool down() const { return left_ == 0; }
  /// It is up again, with what a disk may have kept.
  void restart();

  // -- for the layer's functions ------------------------------------------------------------------------------------
  struct write {
    std::size_t at = 0;
    std::string bytes;
    bool truncates = false; ///< … at `at`
  };
  struct file {
    std::string synced;
    std::string now;
    std::vector<write> unsynced;
  };
  /// False: the machine is down.
  bool step();
  static void apply(std::string& to, const write& what, std::size_t bytes);
  std::map<std::string, file>& files() { return files_; }

private:
  std::mt19937_64 random_;
  std::map<std::string, file> files_;
  std::uint64_t left_ = UINT64_MAX;
};

} // namespace nestor::tests
