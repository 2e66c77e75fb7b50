// A folder of a test's own for a journal and its keys, gone with the test.
#pragma once

#include <nestor/io/journal_store.hpp>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include <stdlib.h> // NOLINT(modernize-deprecated-headers): mkdtemp is POSIX's

namespace nestor::tests {

/// What is stored is the matter there, not that a disk has it: in memory, where the machine has such a place.
inline std::filesystem::path quick_place() {
  std::error_code none;
  std::filesystem::path shared{"/dev/shm"};
  return std::filesystem::is_directory(shared, none) ? shared : std::filesystem::temp_directory_path();
}

class journal_folder {
public:
  explicit journal_folder(const std::filesystem::path& where = std::filesystem::temp_directory_path()) {
    std::string name = (where / "nestor-journal-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"no folder for a test"};
    path_ = name;
  }
  ~journal_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  journal_folder(const journal_folder&) = delete;
  journal_folder& operator=(const journal_folder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string file() const { return (path_ / "journal.db").string(); }
  [[nodiscard]] std::string keys() const { return (path_ / "keys").string(); }
  [[nodiscard]] io::journal_store_options options() const { return {file(), keys()}; }
  [[nodiscard]] std::unique_ptr<io::journal_store> open() const { return open_at(file()); }
  /// In another database, with the keys of this folder.
  [[nodiscard]] std::unique_ptr<io::journal_store> open_at(const std::string& where) const {
    auto opened = io::journal_store::open({where, keys()});
    if (!opened)
      throw std::runtime_error{to_string(opened.error())};
    return std::move(*opened);
  }

private:
  std::filesystem::path path_;
};

} // namespace nestor::tests
