// A PostgreSQL server of a test's own, from Debian's binaries: in a private folder, on a unix socket only, as another
// user where the test is root's. Ends with the test, however that ends.
#pragma once

#include "journal/journal_folder.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace nestor::tests {

class postgres_server {
public:
  static constexpr const char* password = "sesame' o=p\\en %&";

  /// A server that runs, or nothing where the machine has no PostgreSQL: then says that what needs it is skipped.
  /// Its folder is made in `where`: for figures that a disk has a part in, on a disk.
  static std::unique_ptr<postgres_server> start(const std::filesystem::path& where = quick_place());
  ~postgres_server();
  postgres_server(const postgres_server&) = delete;
  postgres_server& operator=(const postgres_server&) = delete;

  /// Of a database; `with` is appended to it.
  [[nodiscard]] std::string address(const std::string& with = "") const;
  /// An empty schema of its own in that database, and its address.
  std::string fresh_schema();
  /// Runs it with psql's rights and gives the first field of the first row.
  std::string sql(const std::string& statement) const;
  [[nodiscard]] std::string log() const;
  /// In which it listens.
  [[nodiscard]] std::string folder() const { return folder_.string(); }

  /// SIGKILL for the server's first process: the others end by themselves, nothing is tidied up.
  void kill();
  /// As `pg_ctl stop -m immediate`.
  void stop_at_once();
  /// Again, over what is there.
  void restart();
  /// As after its failure: what is there goes on as another server's state, on a timeline of its own.
  void fail_over();

private:
  explicit postgres_server(std::filesystem::path folder) : folder_(std::move(folder)) {}
  [[nodiscard]] pid_t run(const std::vector<std::string>& argv) const;
  void wait_until_it_answers() const;
  void end(int signal);

  std::filesystem::path folder_;
  pid_t pid_ = 0;
  int schemas_ = 0;
};

} // namespace nestor::tests
