#include <nestor/io/internal/journal_sql.hpp>

namespace nestor::io::internal {
namespace {

using soci::into;
using soci::use;

// Step N brings a database of version N to version N + 1. A step that was released is never changed.
constexpr const char* to_version_1[] = {
  "create table sandbox (id varchar(40) primary key, unwanted integer not null, ended_ms bigint, closed text)",
  "create table actual (sandbox varchar(40) primary key, epoch bigint not null, revision bigint not null,"
  " body text not null)",
  "create table wanted (sandbox varchar(40) not null, number bigint not null, body text not null,"
  " primary key (sandbox, number))",
};

constexpr const char* to_version_2[] = {
  "create table replay (mark varchar(64) primary key, body varchar(64) not null, sandbox varchar(40) not null,"
  " since_ms bigint not null)",
};

constexpr const char* sql_write =
  "insert into actual (sandbox, epoch, revision, body)"
  " select id, :epoch, :revision, :body from sandbox where id = :id and closed is null"
  " on conflict (sandbox) do update set epoch = excluded.epoch, revision = excluded.revision, body = excluded.body"
  " where (excluded.epoch, excluded.revision) > (actual.epoch, actual.revision)";
constexpr const char* sql_know = "insert into sandbox (id, unwanted) values (:id, 0) on conflict (id) do nothing";
constexpr const char* sql_want = "insert into wanted (sandbox, number, body)"
                                 " select id, :number, :body from sandbox where id = :id and closed is null"
                                 " on conflict (sandbox, number) do update set body = excluded.body";
constexpr const char* sql_prune = "delete from wanted where sandbox = :id and number < :number";
constexpr const char* sql_unwant = "update sandbox set unwanted = 1 where id = :id and closed is null";
constexpr const char* sql_close =
  "insert into sandbox (id, unwanted, ended_ms, closed) values (:id, 1, :ended, :body)"
  " on conflict (id) do update set unwanted = 1, ended_ms = excluded.ended_ms, closed = excluded.closed";

} // namespace

journal_sql::journal_sql(connection& db)
    : write_(
        (db.prepare << sql_write, use(epoch_, "epoch"), use(number_, "revision"), use(body_, "body"), use(id_, "id"))),
      know_((db.prepare << sql_know, use(id_, "id"))),
      want_((db.prepare << sql_want, use(number_, "number"), use(body_, "body"), use(id_, "id"))),
      prune_((db.prepare << sql_prune, use(id_, "id"), use(number_, "number"))),
      unwant_((db.prepare << sql_unwant, use(id_, "id"))),
      close_((db.prepare << sql_close, use(id_, "id"), use(number_, "ended"), use(body_, "body"))),
      drop_actual_((db.prepare << "delete from actual where sandbox = :id", use(id_, "id"))),
      drop_wanted_((db.prepare << "delete from wanted where sandbox = :id", use(id_, "id"))),
      drop_sandbox_((db.prepare << "delete from sandbox where id = :id", use(id_, "id"))),
      wanted_((db.prepare << "select body from wanted where sandbox = :id and number = :number", into(got_),
               use(id_, "id"), use(number_, "number"))),
      sandbox_((db.prepare << "select unwanted, closed from sandbox where id = :id", into(flag_), into(got_, is_null_),
                use(id_, "id"))),
      actual_((db.prepare << "select revision, body from actual where sandbox = :id", into(got_number_), into(got_),
               use(id_, "id"))),
      all_wanted_((db.prepare << "select number, body from wanted where sandbox = :id order by number",
                   into(got_number_), into(got_), use(id_, "id"))),
      ids_((db.prepare << "select id from sandbox where id > :id order by id limit :most", into(got_), use(id_, "id"),
            use(number_, "most"))) {}

bool journal_sql::changed(soci::statement& with) {
  with.execute(true);
  return with.get_affected_rows() > 0;
}

bool journal_sql::write(const std::string& id, long long epoch, long long revision, std::string body) {
  id_ = id, epoch_ = epoch, number_ = revision, body_ = std::move(body);
  return changed(write_);
}

bool journal_sql::know(const std::string& id) {
  id_ = id;
  return changed(know_);
}

bool journal_sql::want(const std::string& id, long long number, std::string body, long long oldest_kept) {
  id_ = id, number_ = number, body_ = std::move(body);
  if (!changed(want_))
    return false;
  if (oldest_kept > 1) {
    number_ = oldest_kept;
    prune_.execute(true);
  }
  return true;
}

bool journal_sql::unwant(const std::string& id) {
  id_ = id;
  return changed(unwant_);
}

void journal_sql::close(const std::string& id, long long ended_ms, std::string body) {
  id_ = id, number_ = ended_ms, body_ = std::move(body);
  close_.execute(true);
  drop_actual_.execute(true);
  drop_wanted_.execute(true);
}

void journal_sql::forget(const std::string& id) {
  id_ = id;
  drop_actual_.execute(true);
  drop_wanted_.execute(true);
  drop_sandbox_.execute(true);
}

std::optional<std::string> journal_sql::wanted_of(const std::string& id, long long number) {
  id_ = id, number_ = number;
  return wanted_.execute(true) ? std::optional{got_} : std::nullopt;
}

std::optional<journal_sql::sandbox_row> journal_sql::sandbox_of(const std::string& id) {
  id_ = id;
  if (!sandbox_.execute(true))
    return std::nullopt;
  return sandbox_row{flag_ != 0, is_null_ == soci::i_ok ? std::optional{got_} : std::nullopt};
}

std::optional<journal_sql::numbered> journal_sql::actual_of(const std::string& id) {
  id_ = id;
  if (!actual_.execute(true))
    return std::nullopt;
  return numbered{got_number_, got_};
}

std::vector<journal_sql::numbered> journal_sql::all_wanted_of(const std::string& id) {
  id_ = id;
  std::vector<numbered> all;
  for (bool more = all_wanted_.execute(true); more; more = all_wanted_.fetch())
    all.push_back({got_number_, got_});
  return all;
}

std::vector<std::string> journal_sql::ids_after(const std::string& id, long long most) {
  id_ = id, number_ = most;
  std::vector<std::string> all;
  for (bool more = ids_.execute(true); more; more = ids_.fetch())
    all.push_back(got_);
  return all;
}

long long migrate(connection& db) {
  db << "create table if not exists journal (name varchar(40) primary key, value text not null)";
  auto found = noted(db, "schema_version");
  long long version = found ? std::stoll(*found) : 0;
  if (version >= schema_version)
    return version;
  if (version < 1)
    for (const auto* statement : to_version_1)
      db << statement;
  for (const auto* statement : to_version_2)
    db << statement;
  note_down(db, "schema_version", std::to_string(schema_version));
  return version;
}

std::optional<std::string> noted(connection& db, const std::string& name) {
  std::string value;
  db << "select value from journal where name = :name", into(value), use(name, "name");
  return db.got_data() ? std::optional{value} : std::nullopt;
}

void note_down(connection& db, const std::string& name, const std::string& value) {
  db << "insert into journal (name, value) values (:name, :value)"
        " on conflict (name) do update set value = excluded.value",
    use(name, "name"), use(value, "value");
}

} // namespace nestor::io::internal
