// Idempotency keys in the journal's database: which sandbox a key has made, for as long as keys live. All of it within
// the caller's transaction; throws what SOCI throws.
#pragma once

#include <nestor/io/internal/journal_sql.hpp>
#include <nestor/journal/records.hpp>

#include <vector>

namespace nestor::io::internal {

void remember_replay(connection& db, const journal::replay_mark& mark);
/// Those that are no older; the others are dropped.
std::vector<journal::replay_mark> replays_since(connection& db, wall_time oldest);
void forget_replays_before(connection& db, wall_time oldest);

} // namespace nestor::io::internal
