// What only a server can do to a journal: go away in the midst of it, come back, be taken by another node, refuse.
#include "journal/commit_cutter.hpp"
#include "journal/journal_folder.hpp"
#include "journal/postgres_server.hpp"
#include "support/random_records.hpp"

#include <nestor/io/clock.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

namespace nestor::tests {
namespace {

namespace op = journal::op;

journal::result one(io::journal_store& store, journal::operation what) {
  return store.perform({&what, 1}).front();
}

failure refusal_of(const journal_folder& folder, const std::string& where) {
  auto opened = io::journal_store::open({where, folder.keys()});
  REQUIRE_FALSE(opened);
  INFO(to_string(opened.error()));
  CHECK(opened.error().cause.find(postgres_server::password) == std::string::npos);
  CHECK(opened.error().cause.find("sesame") == std::string::npos);
  return opened.error();
}

void make_known(io::journal_store& store, random_records& random, const std::vector<sandbox_id>& ids) {
  std::vector<journal::operation> batch;
  for (const auto& id : ids)
    batch.emplace_back(op::want{random.wanted(id, 1)});
  for (const auto& each : store.perform(batch))
    REQUIRE(each.done);
}

std::vector<sandbox_id> some_ids(random_records& random, std::size_t count) {
  std::vector<sandbox_id> ids;
  for (std::size_t i = 0; i < count; ++i)
    ids.push_back(random.id());
  return ids;
}

std::uint64_t revision_of(io::journal_store& store, const sandbox_id& id) {
  auto got = one(store, op::load{id});
  REQUIRE(got.done);
  REQUIRE(got.found.size() == 1);
  return got.found[0].second.actual ? got.found[0].second.actual->revision : 0;
}

/// Writes revision after revision of each, in batches, until told to stop; the highest acknowledged one of each.
std::vector<std::uint64_t> writes_until(io::journal_store& store, random_records& random,
                                        const std::vector<sandbox_id>& ids, const std::atomic<bool>& stop,
                                        std::atomic<std::uint64_t>& batches) {
  std::vector<std::uint64_t> acknowledged(ids.size(), 0);
  for (std::uint64_t revision = 1; !stop; ++revision) {
    std::vector<journal::operation> batch;
    for (const auto& id : ids)
      batch.emplace_back(op::write{random.actual(id, revision)});
    auto answers = store.perform(batch);
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (answers[i].done)
        acknowledged[i] = revision;
    if (answers.front().done)
      ++batches;
  }
  return acknowledged;
}

void wait_for(const std::atomic<std::uint64_t>& count, std::uint64_t more) {
  for (auto from = count.load(); count < from + more;)
    std::this_thread::yield();
}

} // namespace

TEST_CASE("a journal in PostgreSQL is one node's alone, and another schema's is another journal") {
  auto server = postgres_server::start();
  if (!server)
    return;
  journal_folder folder;
  journal_folder other;
  auto where = server->fresh_schema();
  auto store = folder.open_at(where);
  CHECK(refusal_of(folder, where).code == errc::journal_locked);
  CHECK(other.open_at(server->fresh_schema())->installation() != store->installation());
  auto installation = store->installation();
  store.reset();
  store = folder.open_at(where);
  CHECK(store->installation() == installation);
  CHECK(store->starts() == 2);
  store.reset();
  CHECK(refusal_of(other, where).code == errc::keys_refused);

  server->sql("update s1.journal set value = '9' where name = 'schema_version'");
  CHECK(refusal_of(folder, where).code == errc::journal_newer);
}

TEST_CASE("a journal whose server went another way is doubted until somebody confirms it") {
  auto server = postgres_server::start();
  if (!server)
    return;
  journal_folder folder;
  auto where = server->fresh_schema();
  CHECK(folder.open_at(where)->doubt().empty());
  CHECK(folder.open_at(where)->doubt().empty());
  server->stop_at_once();
  server->restart();
  CHECK(folder.open_at(where)->doubt().empty()); // a crash is none
  server->fail_over();
  CHECK_FALSE(folder.open_at(where)->doubt().empty());
  {
    auto store = folder.open_at(where);
    CHECK_FALSE(store->doubt().empty()); // it is not forgotten
    REQUIRE(store->confirm());
    CHECK(store->doubt().empty());
  }
  CHECK(folder.open_at(where)->doubt().empty());
}

TEST_CASE("an idempotency key is kept by a server, too") {
  auto server = postgres_server::start();
  if (!server)
    return;
  journal_folder folder;
  auto where = server->fresh_schema();
  random_records random{5};
  auto store = folder.open_at(where);
  CHECK(store->replays().empty());
  auto record = random.wanted(random.id(), 1);
  record.mark = std::make_shared<journal::replay_mark>(journal::replay_mark{"key", "body", {}, io::wall_now()});
  REQUIRE(one(*store, op::want{record}).done);
  store.reset();
  store = folder.open_at(where);
  REQUIRE(store->replays().size() == 1);
  CHECK(store->replays().front().key == "key");
  CHECK(store->replays().front().body == "body");
  CHECK(store->replays().front().sandbox == record.sandbox);
}

TEST_CASE("what a server refuses is said without the password") {
  auto server = postgres_server::start();
  if (!server)
    return;
  journal_folder folder;
  auto refused = [&](const std::string& where) { return refusal_of(folder, where).code == errc::journal_unavailable; };
  auto right = server->address();
  auto wrong = right;
  wrong.replace(wrong.find("nestor:") + 7, 3, "%41");
  CHECK(refused(wrong));
  CHECK(refused("postgresql://nestor:sesame@/postgres?host=" + folder.path().string())); // nobody listens there
  CHECK(refused("postgresql://nestor:sesame@open@127.0.0.1/postgres"));                  // an @ that is not written %40
  CHECK(refused("postgresql://nestor:se/sesame@127.0.0.1/postgres"));
  CHECK(refused("postgresql://nestor:%sesame@127.0.0.1/postgres"));
  CHECK(refused(server->address("?options=-csearch_path%3Dmissing")));
  CHECK(refused(server->address("?options=-cdefault_transaction_read_only%3Don")));
  server->sql("create user guest password 'sesame'");
  auto guest = right;
  guest.replace(13, guest.find('@') - 13, "guest:sesame");
  CHECK(refused(guest)); // may make nothing in the schema
  server->sql("alter system set fsync = off");
  server->sql("select pg_reload_conf()");
  server->stop_at_once();
  server->restart();
  CHECK(refused(right));
}

TEST_CASE("a server that is killed again and again under load loses no acknowledged write, and is written to again") {
  auto server = postgres_server::start();
  if (!server)
    return;
  journal_folder folder;
  random_records random{11};
  auto ids = some_ids(random, 40);
  auto where = server->fresh_schema();
  auto store = folder.open_at(where);
  make_known(*store, random, ids);
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> batches = 0;
  std::vector<std::uint64_t> acknowledged;
  std::thread writer{[&] { acknowledged = writes_until(*store, random, ids, stop, batches); }};
  for (int round = 0; round < 4; ++round) {
    wait_for(batches, 5);
    round % 2 == 0 ? server->kill() : server->stop_at_once();
    server->restart();
  }
  wait_for(batches, 5); // it goes on by itself
  stop = true;
  writer.join();
  for (std::size_t i = 0; i < ids.size(); ++i)
    CHECK(revision_of(*store, ids[i]) >= acknowledged[i]);
  store.reset();
  store = folder.open_at(where);
  for (std::size_t i = 0; i < ids.size(); ++i)
    CHECK(revision_of(*store, ids[i]) >= acknowledged[i]);
}

TEST_CASE("while its server is away every caller is told, and nothing is acknowledged") {
  auto server = postgres_server::start();
  if (!server)
    return;
  journal_folder folder;
  random_records random{12};
  auto ids = some_ids(random, 3);
  auto store = folder.open_at(server->fresh_schema());
  make_known(*store, random, ids);
  server->kill();
  std::vector<journal::operation> batch;
  for (const auto& id : ids)
    batch.emplace_back(op::write{random.actual(id, 1)});
  batch.emplace_back(op::list{{}, 10});
  for (int round = 0; round < 2; ++round)
    for (const auto& each : store->perform(batch)) {
      CHECK_FALSE(each.done);
      REQUIRE(each.why);
      CHECK(each.why->code == errc::journal_unavailable);
    }
  server->restart();
  for (const auto& each : store->perform(batch))
    CHECK(each.done);
}

TEST_CASE("a commit whose answer was lost is told from one that never was") {
  auto server = postgres_server::start();
  if (!server)
    return;
  journal_folder folder;
  random_records random{13};
  auto ids = some_ids(random, 2);
  auto address = server->fresh_schema();
  commit_cutter between{folder.path().string(), server->folder()};
  auto store = folder.open_at(address + "&host=" + folder.path().string());
  make_known(*store, random, ids);
  std::vector<journal::operation> batch{op::write{random.actual(ids[0], 1)}, op::write{random.actual(ids[1], 1)},
                                        op::write{random.actual(ids[1], 1)}, // as new as what is there then
                                        op::want{random.wanted(ids[0], 2)}, op::unwant{ids[1]}};
  between.cut_next();
  auto answers = store->perform(batch);
  REQUIRE(between.cuts() == 1);
  CHECK(answers[0].done);
  CHECK(answers[1].done);
  CHECK_FALSE(answers[2].done);
  CHECK(answers[3].done);
  CHECK(answers[4].done);
  CHECK(revision_of(*store, ids[0]) == 1);
  CHECK(one(*store, op::read{ids[0], 2}).wanted);
  CHECK(one(*store, op::load{ids[1]}).found.at(0).second.unwanted);
}

TEST_CASE("a node whose journal was opened by another while its connection was lost writes nothing any more") {
  auto server = postgres_server::start();
  if (!server)
    return;
  journal_folder folder;
  random_records random{14};
  auto ids = some_ids(random, 1);
  auto where = server->fresh_schema();
  auto store = folder.open_at(where);
  make_known(*store, random, ids);
  server->sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nestor'");
  auto successor = folder.open_at(where);
  auto refused = one(*store, op::write{random.actual(ids[0], 7)});
  CHECK_FALSE(refused.done);
  REQUIRE(refused.why);
  CHECK(refused.why->code == errc::journal_locked);
  successor.reset();
  refused = one(*store, op::write{random.actual(ids[0], 8)}); // not then, either
  CHECK_FALSE(refused.done);
  CHECK(revision_of(*folder.open_at(where), ids[0]) == 0);
}

} // namespace nestor::tests
