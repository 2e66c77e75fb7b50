// The journal over a disk that forgets what was not synced: whatever was answered as durable is there after the
// machine went down at any write.
#include "journal/forgetful_files.hpp"
#include "journal/journal_folder.hpp"
#include "support/random_records.hpp"

#include <catch2/catch.hpp>

#include <map>

namespace nestor::tests {
namespace {

namespace op = journal::op;

// More than the pages that SQLite lets its log grow to before it writes them back: crashes meet that, too.
constexpr int batches_of_a_life = 60;
constexpr std::uint64_t writes_of_a_life = 600; // a life has more than that

/// What was acknowledged of one sandbox.
struct promised {
  bool known = false;
  std::uint64_t revision = 0;
};
using promises = std::map<std::string, promised>;

void live(io::journal_store& store, random_records& random, const std::vector<sandbox_id>& ids, promises& made,
          std::uint64_t& revision, const forgetful_files& files) {
  for (int n = 0; n < batches_of_a_life && !files.down(); ++n) {
    std::vector<journal::operation> batch;
    for (std::uint64_t i = 0, some = 1 + random.below(12); i < some; ++i) {
      const auto& id = ids[random.below(ids.size())];
      if (!made[id.text].known)
        batch.emplace_back(op::want{random.wanted(id, 1)});
      batch.emplace_back(op::write{random.actual(id, ++revision)});
    }
    auto answers = store.perform(batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!answers[i].done)
        continue;
      if (const auto* want = std::get_if<op::want>(&batch[i]))
        made[want->record.sandbox.text].known = true;
      else if (const auto* write = std::get_if<op::write>(&batch[i]))
        made[write->record.sandbox.text].revision = write->record.revision;
    }
  }
}

void check(io::journal_store& store, const promises& made) {
  for (const auto& [id, was] : made) {
    if (!was.known)
      continue;
    INFO(id);
    journal::operation load = op::load{sandbox_id{id}};
    auto got = store.perform({&load, 1}).front();
    REQUIRE(got.done);
    REQUIRE(got.found.size() == 1);
    REQUIRE(got.found[0].second.wanted.size() == 1);
    if (was.revision > 0) {
      REQUIRE(got.found[0].second.actual);
      REQUIRE(got.found[0].second.actual->revision >= was.revision);
    }
  }
}

void lose_power(std::uint64_t seed, int times) {
  INFO("seed " << seed);
  journal_folder folder{quick_place()}; // of the keys
  forgetful_files files{seed};
  random_records random{seed};
  std::vector<sandbox_id> ids;
  for (int i = 0; i < 30; ++i)
    ids.push_back(random.id());
  promises made;
  std::uint64_t revision = 0;
  int falls = 0; // in the midst of its writes
  auto store = folder.open();
  for (int time = 0; time < times; ++time) {
    INFO("crash " << time);
    files.crash_after(1 + random.below(writes_of_a_life));
    live(*store, random, ids, made, revision, files);
    falls += files.down() ? 1 : 0;
    files.crash_after(0);
    store.reset(); // what it may wish to do at its end is no longer heard
    files.restart();
    store = folder.open();
    check(*store, made);
  }
  REQUIRE(falls > times / 4);
}

} // namespace

TEST_CASE("what was answered as durable survives that the machine goes down at any write") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed)
    lose_power(seed, 12);
}

TEST_CASE("what was answered as durable survives many such falls", "[.long]") {
  for (std::uint64_t seed = 1'000; seed <= 1'200; ++seed)
    lose_power(seed, 20);
}

} // namespace nestor::tests
