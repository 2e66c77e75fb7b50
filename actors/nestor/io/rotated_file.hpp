// A file that lines are added to, for its owner alone, of bounded size: when it is full it is renamed to NAME.1, what
// was NAME.1 to NAME.2, and so on; the oldest goes. Knows nothing of what the lines say.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nestor::io {

struct rotated_file_options {
  std::size_t bytes_max = 16U << 20U; ///< of one file
  unsigned kept = 8;                  ///< besides the one that is written: with it, at most 9 × bytes_max
};

class rotated_file {
public:
  using options = rotated_file_options;

  /// Opens or makes it (0600). Throws std::runtime_error, naming what failed.
  explicit rotated_file(std::string path, options how = {});
  ~rotated_file();
  rotated_file(const rotated_file&) = delete;
  rotated_file& operator=(const rotated_file&) = delete;

  /// Whole, in the kernel's hands when this returns, so that our own end does not lose it. False: it could not be
  /// written; the next one is tried anew.
  bool add(std::string_view line);

private:
  bool open();
  bool rotate();

  std::string path_;
  options how_;
  int fd_ = -1;
  std::size_t size_ = 0;
};

} // namespace nestor::io
