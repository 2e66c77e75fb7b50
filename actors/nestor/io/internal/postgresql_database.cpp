// PostgreSQL: a lock of the server's that lives as long as the connection, commits that wait for its disk, and a
// connection that can be lost in the midst of anything.
#include <nestor/io/internal/journal_database.hpp>

#include <nestor/journal/address.hpp>

#include <soci/postgresql/soci-postgresql.h>

#include <algorithm>
#include <array>
#include <vector>

namespace nestor::io::internal {
namespace {

/// Told to the server unless the address says otherwise: a peer that hangs or went away without a word is noticed, and
/// a standby is not taken for the server.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> told_unless_said{{
  {"application_name", "nestor"},
  {"connect_timeout", "10"}, // seconds
  {"keepalives_idle", "10"}, // seconds
  {"keepalives_interval", "5"},
  {"keepalives_count", "3"},
  {"tcp_user_timeout", "30000"}, // milliseconds
  {"target_session_attrs", "read-write"},
}};

// One of ours among all advisory locks of a database; the schema is the other half.
constexpr const char* sql_lock = "select pg_advisory_lock(1853190003, hashtext(current_schema()))";

// A cluster's identity, and how often it has left its own course: recovery to a point in time and promotion count up.
constexpr const char* sql_lineage = "select cast(s.system_identifier as text) || '/' || cast(c.timeline_id as text)"
                                    " from pg_control_system() s, pg_control_checkpoint() c";

struct parsed {
  std::string told;     ///< for libpq
  std::string shown;    ///< for people
  std::string password; ///< empty: libpq finds one elsewhere, or needs none
};

void add_option(std::string& to, std::string_view name, std::string_view value) {
  to.append(to.empty() ? "" : " ").append(name).append("='");
  for (char c : value) {
    if (c == '\'' || c == '\\')
      to.push_back('\\');
    to.push_back(c);
  }
  to.append("'");
}

[[noreturn]] void not_an_address() {
  throw refusal{
    failed(errc::journal_unavailable,
           "the journal's address is not postgresql://USER@HOST:PORT/DATABASE as libpq reads it; signs such "
           "as @ / : in a part of it are written as %40 %2F %3A")};
}

parsed parse(const std::string& address) {
  std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options{PQconninfoParse(address.c_str(), nullptr),
                                                                       &PQconninfoFree};
  if (!options)
    not_an_address(); // libpq's own words may hold a part of the password
  parsed all;
  std::string host;
  std::string port;
  std::string database;
  std::vector<std::string_view> said;
  for (const auto* each = options.get(); each->keyword != nullptr; ++each) {
    if (each->val == nullptr)
      continue;
    std::string_view name = each->keyword;
    std::string_view value = each->val;
    said.push_back(name);
    if (name == "password")
      all.password = value;
    else if (name == "host")
      host = value;
    else if (name == "port")
      port = value;
    else if (name == "dbname")
      database = value;
    if (name != "client_encoding")
      add_option(all.told, name, value);
  }
  // A password whose signs were not written as %40 and so on ends up in parts that errors show.
  if (host.find('@') != std::string::npos || database.find('@') != std::string::npos ||
      port.find_first_not_of("0123456789,") != std::string::npos)
    not_an_address();
  for (const auto& [name, value] : told_unless_said)
    if (std::ranges::find(said, name) == said.end())
      add_option(all.told, name, value);
  add_option(all.told, "client_encoding",
             "UTF8"); // last: SOCI's search for its own options loses what has spaces there
  all.shown = std::string{postgresql_scheme} + host + (port.empty() ? "" : ":" + port) + "/" + database;
  return all;
}

void say_nothing(void*, const PGresult*) {}

bool is_any_of(std::string_view state, std::initializer_list<std::string_view> classes) {
  return std::ranges::any_of(classes, [&](std::string_view each) { return state.starts_with(each); });
}

class postgresql_database final : public journal_database {
public:
  explicit postgresql_database(const std::string& address) : is_(parse(address)) {}

  void connect() override {
    if (db.get_backend() != nullptr)
      db.close();
    db.open(*soci::factory_postgresql(), is_.told);
    PQsetNoticeReceiver(raw(), say_nothing, nullptr);
    end_earlier_one();
    auto waited = std::to_string(std::chrono::milliseconds{lock_wait}.count());
    db << "set lock_timeout = " + waited;
    std::string setting;
    soci::indicator schema = soci::i_null;
    db << "select current_schema()", soci::into(setting, schema);
    if (schema != soci::i_ok)
      throw refusal{failed(errc::journal_unavailable, is_.shown + " has no schema that its search_path names")};
    db << sql_lock;
    db << "set lock_timeout = 0";
    db << "select pid, cast(backend_start as text) from pg_stat_activity where pid = pg_backend_pid()",
      soci::into(pid_), soci::into(since_);
    db << "select current_setting('fsync')", soci::into(setting);
    if (setting != "on")
      throw refusal{failed(errc::journal_unavailable, is_.shown + " runs with fsync = off: nothing in it is durable")};
    db << "select current_setting('synchronous_commit')", soci::into(setting);
    if (setting == "off" || setting == "local") // stronger ones are its operator's wish
      db << "set synchronous_commit = on";
    ask_lineage();
  }

  bool lost() override { return raw() == nullptr || PQstatus(raw()) != CONNECTION_OK; }
  const sql_dialect& dialect() const override { return postgresql_dialect; }
  const std::string& name() const override { return is_.shown; }
  std::string lineage() const override { return lineage_; }

  failure why_of(const soci::soci_error& e) const override {
    const auto* ours = dynamic_cast<const soci::postgresql_soci_error*>(&e);
    auto state = ours ? ours->sqlstate() : std::string{};
    auto unavailable = [&](const std::string& why) { return failed(errc::journal_unavailable, is_.shown + why); };
    if (state == "55P03")
      return failed(errc::journal_locked, is_.shown + " is in use by another node");
    if (is_any_of(state, {"XX001", "XX002"}))
      return failed(errc::journal_corrupt, is_.shown + " is damaged: " + words_of(e));
    if (is_any_of(state, {"53100"}))
      return unavailable(": no room is left on its disk");
    if (is_any_of(state, {"25006"}))
      return unavailable(" cannot be written: it is a standby or read-only");
    if (is_any_of(state, {"42501"}))
      return unavailable(": its user may not do what a journal needs: " + words_of(e));
    return unavailable(": " + words_of(e));
  }

private:
  PGconn* raw() {
    auto* backend = static_cast<soci::postgresql_session_backend*>(db.get_backend());
    return backend ? backend->conn_ : nullptr;
  }

  /// The server may not have noticed that our earlier connection is gone: it would keep the lock, and commit what we
  /// gave up on.
  void end_earlier_one() {
    if (pid_ != 0)
      db << "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid = :pid and cast(backend_start as text) = :since",
        soci::use(pid_, "pid"), soci::use(since_, "since");
  }

  /// A user who may not ask does without.
  void ask_lineage() {
    try {
      db << sql_lineage, soci::into(lineage_);
    } catch (const soci::soci_error&) { lineage_.clear(); }
  }

  /// On one line, without the password, whoever put it there.
  std::string words_of(const soci::soci_error& e) const {
    std::string text = e.get_error_message(); // `what` would show values, too
    if (!is_.password.empty())
      for (auto at = text.find(is_.password); at != std::string::npos; at = text.find(is_.password, at))
        text.replace(at, is_.password.size(), "***"), at += 3;
    std::ranges::replace(text, '\n', ' ');
    while (text.ends_with(' '))
      text.pop_back();
    return text;
  }

  parsed is_;
  long long pid_ = 0; ///< of the server's process for our connection; 0: none yet
  std::string since_;
  std::string lineage_;
};

} // namespace

std::unique_ptr<journal_database> postgresql_database_at(const std::string& address) {
  return std::make_unique<postgresql_database>(address);
}

} // namespace nestor::io::internal
