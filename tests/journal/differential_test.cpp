// The same random operations through the model and the database, in batches of any size, with restarts in between:
// every answer must be the same.
#include "journal/journal_folder.hpp"
#include "journal/model_journal.hpp"
#include "support/random_records.hpp"

#include <catch2/catch.hpp>

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

/// What is stored is the matter here, not that a disk has it: in memory, where the machine has such a place.
std::filesystem::path quick_place() {
  std::error_code none;
  std::filesystem::path shared{"/dev/shm"};
  return std::filesystem::is_directory(shared, none) ? shared : std::filesystem::temp_directory_path();
}

void agree(std::uint64_t first_seed, std::uint64_t sequences) {
  for (std::uint64_t seed = first_seed; seed < first_seed + sequences;) {
    journal_folder folder{quick_place()};
    auto store = folder.open();
    // One file carries many sequences, each with ids of its own: making a file costs more than a sequence.
    for (auto last = std::min(seed + 500, first_seed + sequences); seed < last; ++seed) {
      INFO("seed " << seed);
      random_operations random{seed};
      model_journal model;
      for (int batch = 0; batch < 4; ++batch) {
        std::vector<journal::operation> operations(1 + random.below(12));
        for (auto& each : operations) {
          each = random.next();
          if (std::holds_alternative<journal::op::list>(each)) // other sequences' sandboxes are in the file, too
            each = journal::op::read{};
        }
        auto got = store->perform(operations);
        REQUIRE(got.size() == operations.size());
        for (std::size_t i = 0; i < operations.size(); ++i) {
          INFO("batch " << batch << ", operation " << i << " of kind " << operations[i].index());
          REQUIRE(text_of(got[i]) == text_of(model.perform(operations[i])));
        }
      }
      if (seed % 50 == 0)
        store.reset(), store = folder.open();
    }
  }
}

} // namespace

TEST_CASE("model and database give the same answers to 5000 random sequences") {
  agree(1, 5'000);
}

TEST_CASE("model and database give the same answers to 100000 random sequences", "[.long]") {
  agree(1'000'000, 100'000);
}

TEST_CASE("model and database list the same sandboxes, page by page") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    journal_folder folder{quick_place()};
    auto store = folder.open();
    random_operations random{seed};
    model_journal model;
    for (int n = 0; n < 60; ++n) {
      journal::operation what = random.next();
      REQUIRE(text_of(store->perform({&what, 1}).front()) == text_of(model.perform(what)));
    }
  }
}

} // namespace nestor::tests
