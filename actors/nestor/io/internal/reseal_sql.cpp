#include <nestor/io/internal/reseal_sql.hpp>

namespace nestor::io::internal {

using soci::into;
using soci::use;

namespace {

void rows_of(connection& db, const std::string& kind, const std::string& query, const std::string& sandbox,
             std::vector<sealed_row>& all) {
  long long number = 0;
  std::string body;
  soci::statement rows = (db.prepare << query, into(number), into(body), use(sandbox, "id"));
  for (bool more = rows.execute(true); more; more = rows.fetch())
    all.push_back({kind, static_cast<std::uint64_t>(number), body});
}

} // namespace

std::vector<sealed_row> sealed_rows(connection& db, const std::string& sandbox) {
  std::vector<sealed_row> all;
  rows_of(db, "actual", "select revision, body from actual where sandbox = :id", sandbox, all);
  rows_of(db, "wanted", "select number, body from wanted where sandbox = :id order by number", sandbox, all);
  rows_of(db, "closed", "select 0, closed from sandbox where id = :id and closed is not null", sandbox, all);
  return all;
}

void put_back(connection& db, const std::string& sandbox, const sealed_row& row) {
  auto number = static_cast<long long>(row.number);
  if (row.kind == "actual")
    db << "update actual set body = :body where sandbox = :id and revision = :number", use(row.body, "body"),
      use(sandbox, "id"), use(number, "number");
  else if (row.kind == "wanted")
    db << "update wanted set body = :body where sandbox = :id and number = :number", use(row.body, "body"),
      use(sandbox, "id"), use(number, "number");
  else
    db << "update sandbox set closed = :body where id = :id", use(row.body, "body"), use(sandbox, "id");
}

std::uint64_t sealed_so(connection& db, const std::string& beginning) {
  auto pattern = beginning + "%";
  long long sum = 0;
  for (const char* query :
       {"select count(*) from actual where body like :so", "select count(*) from wanted where body like :so",
        "select count(*) from sandbox where closed like :so"}) {
    long long count = 0;
    db << query, into(count), use(pattern, "so");
    sum += count;
  }
  return static_cast<std::uint64_t>(sum);
}

} // namespace nestor::io::internal
