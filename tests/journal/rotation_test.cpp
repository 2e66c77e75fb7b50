// A key rotation, online and in pieces: whatever happens in its midst, everything can be read, and when it is over
// nothing needs the old key any more.
#include "journal/journal_folder.hpp"
#include "journal/postgres_server.hpp"
#include "support/canary.hpp"
#include "support/random_records.hpp"

#include <nestor/io/key_file.hpp>

#include <catch2/catch.hpp>

#include <cstdio>
#include <fstream>
#include <iterator>

#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX's
#include <sys/wait.h>
#include <unistd.h>

namespace nestor::tests {
namespace {

namespace op = journal::op;

std::string bytes_of(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

journal::wanted_record hiding(random_records& random, const sandbox_id& id) {
  auto record = random.wanted(id, 1);
  auto spec = std::make_shared<sandbox_spec>(*record.spec);
  auto c = std::make_shared<nested::configuration>();
  c->settings = wiped_string{R"({"llm_api_key":"CANARY-rotation"})"};
  c->secrets.push_back({"TOKEN", secret::copy_of("CANARY-rotation-token"), ""});
  spec->configuration = c;
  record.spec = spec;
  return record;
}

/// Sandboxes with both records, and digests of what they hold under the key of that time.
std::vector<sandbox_id> fill(io::journal_store& store, std::size_t count) {
  random_records random{11};
  std::vector<sandbox_id> ids;
  std::vector<journal::operation> batch;
  while (ids.size() < count) {
    ids.push_back(random.id());
    auto wanted = hiding(random, ids.back());
    auto actual = random.actual(ids.back(), 1);
    actual.holds = std::make_shared<const nested::delivery>(delivery_of(*wanted.spec->configuration, store.digests()));
    batch.push_back(op::want{std::move(wanted)});
    batch.push_back(op::write{std::move(actual)});
    if (batch.size() >= 500 || ids.size() == count) {
      for (const auto& each : store.perform(batch))
        REQUIRE(each.done);
      batch.clear();
    }
  }
  return ids;
}

void all_is_readable(io::journal_store& store, const std::vector<sandbox_id>& ids, bool under_its_key) {
  std::size_t found = 0;
  sandbox_id after;
  for (;;) {
    journal::operation next = op::list{after, 500};
    auto page = store.perform({&next, 1}).front();
    REQUIRE(page.done);
    if (page.found.empty())
      break;
    after = page.found.back().first;
    for (const auto& [id, records] : page.found) {
      ++found;
      REQUIRE(records.wanted.size() == 1);
      REQUIRE(records.actual);
      if (under_its_key) // what is wanted and what is held can be compared without pushing it again
        REQUIRE(*records.actual->holds == delivery_of(*records.wanted.front()->spec->configuration, store.digests()));
    }
  }
  CHECK(found == ids.size());
}

void nothing_is_told(const journal_folder& folder) {
  for (const auto& entry : std::filesystem::directory_iterator{folder.path()})
    CHECK(canary_in(bytes_of(entry.path().string())).empty());
}

void rotate_through_kills(std::size_t sandboxes, int kills) {
  journal_folder folder;
  std::vector<sandbox_id> ids;
  {
    auto store = folder.open();
    ids = fill(*store, sandboxes);
  }
  auto old_ring = bytes_of(folder.keys());
  for (int i = 0; i < kills; ++i) {
    int said[2];
    REQUIRE(::pipe(said) == 0);
    auto child = ::fork();
    if (child == 0) {
      auto store = io::journal_store::open(folder.options());
      if (!store || ((*store)->census()->current == 1 && !(*store)->rotate()))
        ::_exit(1);
      while ((*store)->resealing() && (*store)->reseal(16))
        (void)!::write(said[1], "r", 1);
      ::_exit(0);
    }
    ::close(said[1]);
    char word = 0;
    for (std::size_t steps = sandboxes / 16 / static_cast<std::size_t>(kills); steps > 0; --steps)
      if (::read(said[0], &word, 1) != 1)
        break;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(said[0]);
  }
  auto store = folder.open();
  auto half = store->census();
  REQUIRE(half);
  CHECK(half->current == 2);
  CHECK(half->resealing);
  all_is_readable(*store, ids, false);
  random_records random{12};
  journal::operation meanwhile = op::want{hiding(random, ids.emplace_back(random.id()))};
  journal::operation also = op::write{random.actual(ids.back(), 1)};
  REQUIRE(store->perform({&meanwhile, 1}).front().done);
  REQUIRE(store->perform({&also, 1}).front().done);
  std::size_t steps = 0;
  for (; store->resealing(); ++steps)
    REQUIRE(store->reseal(16));
  CHECK(steps > 1); // bounded pieces, not all at once
  auto whole = store->census();
  REQUIRE(whole);
  REQUIRE(whole->keys.size() == 1);
  CHECK(whole->keys.front().id == 2);
  CHECK(whole->keys.front().records == 2 * ids.size());
  ids.pop_back(); // its digests are random
  journal::operation gone = op::forget{std::get<op::write>(also).record.sandbox};
  store->perform({&gone, 1});
  all_is_readable(*store, ids, true);
  auto secret_of_node = store->node_secret();
  store.reset();
  all_is_readable(*folder.open(), ids, true);
  CHECK(folder.open()->node_secret() == secret_of_node);
  nothing_is_told(folder);

  std::ofstream{folder.keys(), std::ios::trunc} << old_ring; // the key that leaked opens nothing any more
  auto with_old = io::journal_store::open(folder.options());
  REQUIRE_FALSE(with_old);
  CHECK(with_old.error().code == errc::keys_refused);
}

} // namespace

TEST_CASE("3000 sandboxes are sealed anew through three kills, and the old key opens nothing") {
  rotate_through_kills(3'000, 3);
}

TEST_CASE("a journal in PostgreSQL is sealed anew as one in a file is") {
  auto server = postgres_server::start();
  if (!server)
    return;
  journal_folder folder;
  auto where = server->fresh_schema();
  auto store = folder.open_at(where);
  auto ids = fill(*store, 200);
  REQUIRE(store->rotate());
  REQUIRE(store->reseal(16));
  store.reset(); // in its midst
  store = folder.open_at(where);
  CHECK(store->resealing());
  all_is_readable(*store, ids, false);
  while (store->resealing())
    REQUIRE(store->reseal(16));
  auto whole = store->census();
  REQUIRE(whole);
  REQUIRE(whole->keys.size() == 1);
  CHECK(whole->keys.front().id == 2);
  CHECK(whole->keys.front().records == 2 * ids.size());
  all_is_readable(*store, ids, true);
}

TEST_CASE("50000 sandboxes, 100000 records, are sealed anew through twenty kills", "[.long]") {
  rotate_through_kills(50'000, 20);
}

TEST_CASE("a rotation that cannot write its ring changes nothing") {
  journal_folder folder;
  auto store = folder.open();
  auto ids = fill(*store, 20);
  std::filesystem::create_directory(folder.keys() + ".new"); // where the new ring would be written first
  CHECK_FALSE(store->rotate());
  CHECK_FALSE(store->resealing());
  all_is_readable(*store, ids, true);
  std::filesystem::remove(folder.keys() + ".new");
  REQUIRE(store->rotate());
  REQUIRE(store->rotate()); // once more goes on with the same one
  CHECK(store->census()->keys.size() == 2);
}

} // namespace nestor::tests
