#include <nestor/io/internal/replay_sql.hpp>

namespace nestor::io::internal {

using soci::into;
using soci::use;

void remember_replay(connection& db, const journal::replay_mark& mark) {
  long long since = mark.since.ms;
  db << "insert into replay (mark, body, sandbox, since_ms) values (:mark, :body, :sandbox, :since)"
        " on conflict (mark) do update set body = excluded.body, sandbox = excluded.sandbox, since_ms = "
        "excluded.since_ms",
    use(mark.key, "mark"), use(mark.body, "body"), use(mark.sandbox.text, "sandbox"), use(since, "since");
}

std::vector<journal::replay_mark> replays_since(connection& db, wall_time oldest) {
  forget_replays_before(db, oldest);
  std::vector<journal::replay_mark> all;
  journal::replay_mark each;
  long long since = 0;
  soci::statement rows = (db.prepare << "select mark, body, sandbox, since_ms from replay order by since_ms",
                          into(each.key), into(each.body), into(each.sandbox.text), into(since));
  for (bool more = rows.execute(true); more; more = rows.fetch()) {
    each.since.ms = since;
    all.push_back(each);
  }
  return all;
}

void forget_replays_before(connection& db, wall_time oldest) {
  long long before = oldest.ms;
  db << "delete from replay where since_ms < :before", use(before, "before");
}

} // namespace nestor::io::internal
