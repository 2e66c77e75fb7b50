// The same random operations through the model, SQLite and PostgreSQL, in batches of any size, with restarts in
// between: every answer must be the same.
#include "journal/journal_folder.hpp"
#include "journal/model_journal.hpp"
#include "journal/postgres_server.hpp"
#include "support/random_records.hpp"

#include <catch2/catch.hpp>

#include <functional>

namespace nestor::tests {
namespace {

class random_operations {
public:
  explicit random_operations(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 4; ++i)
      ids_.push_back(random_.id());
  }
  journal::operation next() {
    const auto& id = ids_[random_.below(ids_.size())];
    switch (random_.below(16)) {
      case 0: return journal::op::unwant{id};
      case 1: return random_.below(4) == 0 ? journal::operation{journal::op::forget{id}} : journal::op::load{id};
      case 2:
        return random_.below(3) == 0 ? journal::operation{journal::op::close{random_.closed(id)}}
                                     : journal::op::load{id};
      case 3: return journal::op::list{random_.coin() ? id : sandbox_id{}, 1 + random_.below(5)};
      case 4:
      case 5: return journal::op::read{id, 1 + random_.below(40)};
      case 6:
      case 7: return journal::op::want{random_.wanted(id, 1)};
      case 8:
      case 9:
      case 10: return journal::op::want{random_.wanted(id, 1 + random_.below(40))};
      default: return journal::op::write{settled(random_.actual(id, 1 + random_.below(50)))};
    }
  }
  std::uint64_t below(std::uint64_t limit) { return random_.below(limit); }

private:
  /// How a moment travels is the codec's test; here only what is stored counts.
  static journal::actual_record settled(journal::actual_record record) {
    record.configured_since.reset();
    return record;
  }
  random_records random_;
  std::vector<sandbox_id> ids_;
};

/// One more database that must agree.
struct database {
  std::string name;
  std::function<std::unique_ptr<io::journal_store>()> open;
  std::unique_ptr<io::journal_store> store = {};
  void reopen() { store.reset(), store = open(); }
};

/// One sequence, in batches, through the model and every database.
void sequence(std::uint64_t seed, std::vector<database>& databases) {
  random_operations random{seed};
  model_journal model;
  for (int batch = 0; batch < 4; ++batch) {
    std::vector<journal::operation> operations(1 + random.below(12));
    for (auto& each : operations) {
      each = random.next();
      if (std::holds_alternative<journal::op::list>(each)) // other sequences' sandboxes are in the database, too
        each = journal::op::read{};
    }
    std::vector<std::string> expected;
    for (const auto& each : operations)
      expected.push_back(text_of(model.perform(each)));
    for (auto& in : databases) {
      auto got = in.store->perform(operations);
      REQUIRE(got.size() == operations.size());
      for (std::size_t i = 0; i < operations.size(); ++i) {
        INFO(in.name << ", batch " << batch << ", operation " << i << " of kind " << operations[i].index());
        REQUIRE(text_of(got[i]) == expected[i]);
      }
    }
  }
}

constexpr std::uint64_t servers_seeds = 8;

void agree(std::uint64_t first_seed, std::uint64_t sequences) {
  auto server = postgres_server::start();
  for (std::uint64_t seed = first_seed; seed < first_seed + sequences;) {
    journal_folder folder{quick_place()};
    journal_folder other{quick_place()};
    std::vector<database> databases;
    databases.push_back({"SQLite", [&] { return folder.open(); }});
    if (server)
      databases.push_back({"PostgreSQL", [&, where = server->fresh_schema()] { return other.open_at(where); }});
    for (auto& each : databases)
      each.reopen();
    // One carries many sequences, each with ids of its own: making a database costs more than a sequence.
    for (auto last = std::min(seed + 500, first_seed + sequences); seed < last; ++seed) {
      INFO("seed " << seed);
      sequence(seed, databases);
      if (seed % 50 == 0)
        for (auto& each : databases)
          each.reopen();
    }
  }
}

} // namespace

// Five times 1000: so are five limits of time, for a machine that does ten other things.
TEST_CASE("model and databases give the same answers to random sequences, 1 to 1000") {
  agree(1, 1'000);
}
TEST_CASE("model and databases give the same answers to random sequences, 1001 to 2000") {
  agree(1'001, 1'000);
}
TEST_CASE("model and databases give the same answers to random sequences, 2001 to 3000") {
  agree(2'001, 1'000);
}
TEST_CASE("model and databases give the same answers to random sequences, 3001 to 4000") {
  agree(3'001, 1'000);
}
TEST_CASE("model and databases give the same answers to random sequences, 4001 to 5000") {
  agree(4'001, 1'000);
}

TEST_CASE("model and databases give the same answers to 100000 random sequences", "[.long]") {
  agree(1'000'000, 100'000);
}

TEST_CASE("model and databases list the same sandboxes, page by page") {
  auto server = postgres_server::start();
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    journal_folder folder{quick_place()};
    journal_folder other{quick_place()};
    auto sqlite = folder.open();
    bool both = server && seed <= servers_seeds; // a journal of its own for each: a second or so at a server
    auto postgresql = both ? other.open_at(server->fresh_schema()) : nullptr;
    random_operations random{seed};
    model_journal model;
    for (int n = 0; n < 60; ++n) {
      journal::operation what = random.next();
      auto expected = text_of(model.perform(what));
      REQUIRE(text_of(sqlite->perform({&what, 1}).front()) == expected);
      if (postgresql)
        REQUIRE(text_of(postgresql->perform({&what, 1}).front()) == expected);
    }
  }
}

} // namespace nestor::tests
