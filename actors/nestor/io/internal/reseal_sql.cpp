#include <nestor/io/internal/reseal_sql.hpp>

namespace nestor::io::internal {

using soci::into;
using soci::use;

std::vector<sealed_row> sealed_rows(const journal_sql::sandbox_row& of) {
  std::vector<sealed_row> all;
  auto add = [&all](const char* kind, const journal_sql::numbered& kept) {
    all.push_back({kind, static_cast<std::uint64_t>(kept.number), kept.body});
  };
  if (of.actual)
    add("actual", *of.actual);
  for (const auto& each : of.wanted)
    add("wanted", each);
  if (of.closed)
    add("closed", {0, *of.closed});
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
