#include <nestor/io/internal/journal_sql.hpp>

#include <unordered_map>

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

constexpr const char* write_one =
  "insert into actual (sandbox, epoch, revision, body)"
  " select id, :epoch, :revision, :body from sandbox where id = :id and closed is null"
  " on conflict (sandbox) do update set epoch = excluded.epoch, revision = excluded.revision, body = excluded.body"
  " where (excluded.epoch, excluded.revision) > (actual.epoch, actual.revision)";
// A server is asked once for a whole batch: a round trip costs more than a row.
constexpr const char* write_all =
  "insert into actual (sandbox, epoch, revision, body)"
  " select s.id, cast(:epoch as bigint), new.revision, new.body"
  " from unnest(cast(:ids as text[]), cast(:revisions as bigint[]), cast(:bodies as text[]))"
  " as new (id, revision, body) join sandbox s on s.id = new.id where s.closed is null"
  " on conflict (sandbox) do update set epoch = excluded.epoch, revision = excluded.revision, body = excluded.body"
  " where (excluded.epoch, excluded.revision) > (actual.epoch, actual.revision) returning sandbox";
// What is sealed cannot be compressed; records of the living are rewritten in their pages.
constexpr const char* kept_in_postgresql[] = {
  "alter table sandbox alter closed set storage external",
  "alter table actual alter body set storage external",
  "alter table wanted alter body set storage external",
  "alter table actual set (fillfactor = 50)",
};

constexpr const char* sql_know = "insert into sandbox (id, unwanted) values (:id, 0) on conflict (id) do nothing";
constexpr const char* sql_want = "insert into wanted (sandbox, number, body)"
                                 " select id, :number, :body from sandbox where id = :id and closed is null"
                                 " on conflict (sandbox, number) do update set body = excluded.body";
constexpr const char* sql_prune = "delete from wanted where sandbox = :id and number < :number";
constexpr const char* sql_unwant = "update sandbox set unwanted = 1 where id = :id and closed is null";
constexpr const char* sql_close =
  "insert into sandbox (id, unwanted, ended_ms, closed) values (:id, 1, :ended, :body)"
  " on conflict (id) do update set unwanted = 1, ended_ms = excluded.ended_ms, closed = excluded.closed";

constexpr const char* sql_sandbox =
  "select s.id, s.unwanted, s.closed, a.revision, a.body from sandbox s left join actual a on a.sandbox = s.id"
  " where s.id = :id";
constexpr const char* sql_sandboxes =
  "select s.id, s.unwanted, s.closed, a.revision, a.body from sandbox s left join actual a on a.sandbox = s.id"
  " where s.id > :id order by s.id limit :most";
constexpr const char* sql_all_wanted = "select sandbox, number, body from wanted where sandbox >= :first"
                                       " and sandbox <= :last order by sandbox, number";

constexpr std::string_view id_type_of_all = "varchar(40)";

std::string spelled(std::string statement, const sql_dialect& dialect) {
  const std::string_view type = dialect.id_type;
  for (auto at = statement.find(id_type_of_all); at != std::string::npos;
       at = statement.find(id_type_of_all, at + type.size()))
    statement.replace(at, id_type_of_all.size(), type);
  return statement;
}

void add_element(std::string& array, std::string_view text) {
  array.append(array.empty() ? "{\"" : ",\"");
  for (char c : text) {
    if (c == '"' || c == '\\')
      array.push_back('\\');
    array.push_back(c);
  }
  array.push_back('"');
}

} // namespace

const sql_dialect sqlite_dialect{"varchar(40)", {}, write_one, false};
const sql_dialect postgresql_dialect{"varchar(40) collate \"C\"", kept_in_postgresql, write_all, true};

soci::statement journal_sql::prepared_write(connection& db) {
  if (dialect_.writes_many)
    return (db.prepare << dialect_.write, use(epoch_, "epoch"), use(ids_text_, "ids"),
            use(revisions_text_, "revisions"), use(bodies_text_, "bodies"), into(got_));
  return (db.prepare << dialect_.write, use(epoch_, "epoch"), use(number_, "revision"), use(body_, "body"),
          use(id_, "id"));
}

journal_sql::journal_sql(connection& db, const sql_dialect& dialect)
    : dialect_(dialect), write_(prepared_write(db)), know_((db.prepare << sql_know, use(id_, "id"))),
      want_((db.prepare << sql_want, use(number_, "number"), use(body_, "body"), use(id_, "id"))),
      prune_((db.prepare << sql_prune, use(id_, "id"), use(number_, "number"))),
      unwant_((db.prepare << sql_unwant, use(id_, "id"))),
      close_((db.prepare << sql_close, use(id_, "id"), use(number_, "ended"), use(body_, "body"))),
      drop_actual_((db.prepare << "delete from actual where sandbox = :id", use(id_, "id"))),
      drop_wanted_((db.prepare << "delete from wanted where sandbox = :id", use(id_, "id"))),
      drop_sandbox_((db.prepare << "delete from sandbox where id = :id", use(id_, "id"))),
      wanted_((db.prepare << "select body from wanted where sandbox = :id and number = :number", into(got_),
               use(id_, "id"), use(number_, "number"))),
      actual_((db.prepare << "select body from actual where sandbox = :id", into(got_), use(id_, "id"))),
      sandbox_((db.prepare << sql_sandbox, into(got_id_), into(flag_), into(got_, no_closed_),
                into(got_number_, no_number_), into(got_actual_, no_actual_), use(id_, "id"))),
      sandboxes_((db.prepare << sql_sandboxes, into(got_id_), into(flag_), into(got_, no_closed_),
                  into(got_number_, no_number_), into(got_actual_, no_actual_), use(id_, "id"), use(number_, "most"))),
      all_wanted_((db.prepare << sql_all_wanted, into(got_id_), into(got_number_), into(got_), use(id_, "first"),
                   use(last_, "last"))) {}

bool journal_sql::changed(soci::statement& with) {
  with.execute(true);
  return with.get_affected_rows() > 0;
}

void journal_sql::write(long long epoch, std::span<written> rows) {
  epoch_ = epoch;
  if (dialect_.writes_many)
    return write_many(rows);
  for (auto& row : rows) {
    id_ = row.id, number_ = row.revision, body_ = row.body;
    row.stored = changed(write_);
  }
}

void journal_sql::write_many(std::span<written> rows) {
  std::unordered_map<std::string_view, written*> by_id;
  for (auto* text : {&ids_text_, &revisions_text_, &bodies_text_})
    text->clear();
  for (auto& row : rows) {
    by_id.emplace(row.id, &row);
    add_element(ids_text_, row.id);
    add_element(revisions_text_, std::to_string(row.revision));
    add_element(bodies_text_, row.body);
  }
  for (auto* text : {&ids_text_, &revisions_text_, &bodies_text_})
    text->push_back('}');
  for (bool more = write_.execute(true); more; more = write_.fetch())
    by_id.at(got_)->stored = true;
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

/// Read to its end: SQLite's log of what was written grows for as long as any statement stands before a row.
std::optional<std::string> journal_sql::only_row(soci::statement& with) {
  std::optional<std::string> found;
  for (bool more = with.execute(true); more; more = with.fetch())
    found = got_;
  return found;
}

std::optional<std::string> journal_sql::wanted_of(const std::string& id, long long number) {
  id_ = id, number_ = number;
  return only_row(wanted_);
}

std::optional<std::string> journal_sql::actual_of(const std::string& id) {
  id_ = id;
  return only_row(actual_);
}

std::vector<journal_sql::sandbox_row> journal_sql::all_of(soci::statement& with) {
  std::vector<sandbox_row> all;
  for (bool more = with.execute(true); more; more = with.fetch()) {
    auto& row = all.emplace_back();
    row.id = got_id_;
    row.unwanted = flag_ != 0;
    if (no_closed_ == soci::i_ok)
      row.closed = got_;
    if (no_actual_ == soci::i_ok)
      row.actual = numbered{got_number_, got_actual_};
  }
  if (all.empty())
    return all;
  id_ = all.front().id, last_ = all.back().id;
  auto at = all.begin(); // both are ordered by id
  for (bool more = all_wanted_.execute(true); more; more = all_wanted_.fetch()) {
    while (at != all.end() && at->id < got_id_)
      ++at;
    if (at != all.end() && at->id == got_id_) // else it is of nobody
      at->wanted.push_back({got_number_, got_});
  }
  return all;
}

std::optional<journal_sql::sandbox_row> journal_sql::sandbox_of(const std::string& id) {
  id_ = id;
  auto found = all_of(sandbox_);
  return found.empty() ? std::nullopt : std::optional{std::move(found.front())};
}

std::vector<journal_sql::sandbox_row> journal_sql::sandboxes_after(const std::string& id, long long most) {
  id_ = id, number_ = most;
  return all_of(sandboxes_);
}

long long migrate(connection& db, const sql_dialect& dialect) {
  db << spelled("create table if not exists journal (name varchar(40) primary key, value text not null)", dialect);
  auto found = noted(db, "schema_version");
  long long version = found ? std::stoll(*found) : 0;
  if (version >= schema_version)
    return version;
  if (version < 1) {
    for (const auto* statement : to_version_1)
      db << spelled(statement, dialect);
    for (const auto* statement : dialect.after_schema)
      db << statement;
  }
  for (const auto* statement : to_version_2)
    db << spelled(statement, dialect);
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
