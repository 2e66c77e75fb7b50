// SQLite in a file: WAL, synchronous=FULL, locked by the file system for as long as the process lives.
#include <nestor/io/internal/journal_database.hpp>

#include <nestor/journal/address.hpp>

#include <soci/sqlite3/soci-sqlite3.h>

namespace nestor::io::internal {
namespace {

// SQLite's own numbers; the rest of a code is detail.
enum class sqlite : int {
  busy = 5,
  locked = 6,
  read_only = 8,
  io = 10,
  corrupt = 11,
  full = 13,
  cannot_open = 14,
  no_database = 26
};

class sqlite_database final : public journal_database {
public:
  explicit sqlite_database(std::string path) : path_(std::move(path)) {
    if (path_.empty() || path_.find('"') != std::string::npos)
      throw refusal{failed(errc::journal_unavailable, "the journal's path is empty or holds a quotation mark")};
  }

  void connect() override {
    db.open(*soci::factory_sqlite3(), "db=\"" + path_ + "\" timeout=" + std::to_string(lock_wait.count()));
    std::string mode;
    db << "pragma locking_mode=exclusive", soci::into(mode); // before anything is read: no shared memory file then
    db << "pragma journal_mode=wal", soci::into(mode);
    if (mode != "wal")
      throw refusal{failed(errc::journal_unavailable, path_ + ": its file system cannot carry a write-ahead log")};
    db << "pragma synchronous=full";
  }
  bool lost() override { return false; } // a file is not lost: what fails, fails alone
  const sql_dialect& dialect() const override { return sqlite_dialect; }
  const std::string& name() const override { return path_; }
  std::string file() const override { return path_; }

  failure why_of(const soci::soci_error& e) const override {
    const auto* ours = dynamic_cast<const soci::sqlite3_soci_error*>(&e);
    auto what = ours ? static_cast<sqlite>(ours->result() & 0xff) : sqlite{};
    std::string text = e.get_error_message(); // names tables and columns; `what` would show values, too
    auto says = [&](std::string_view part) { return text.find(part) != std::string::npos; };
    if (what == sqlite::busy || what == sqlite::locked || says("database is locked"))
      return failed(errc::journal_locked, path_ + " is in use by another process");
    if (what == sqlite::corrupt || what == sqlite::no_database || says("malformed") || says("not a database"))
      return failed(errc::journal_corrupt, path_ + " is no intact database");
    if (what == sqlite::full || says("disk is full"))
      return failed(errc::journal_unavailable, path_ + ": no room is left on its disk");
    if (what == sqlite::read_only || says("readonly"))
      return failed(errc::journal_unavailable,
                    path_ + " cannot be written: it, its folder or its file system is read-only");
    if (what == sqlite::cannot_open || says("unable to open"))
      return failed(errc::journal_unavailable,
                    path_ + " cannot be opened or made: is its folder there, and ours to write?");
    return failed(errc::journal_unavailable, path_ + ": " + text);
  }

private:
  std::string path_;
};

} // namespace

std::unique_ptr<journal_database> sqlite_database_at(const std::string& path) {
  return std::make_unique<sqlite_database>(path);
}

std::unique_ptr<journal_database> journal_database_at(const std::string& where) {
  return where.starts_with(postgresql_scheme) ? postgresql_database_at(where) : sqlite_database_at(where);
}

} // namespace nestor::io::internal
