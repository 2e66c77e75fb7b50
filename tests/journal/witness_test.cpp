// A journal that was restored or copied is recognised, and one that only crashed is not taken for that.
#include "journal/journal_folder.hpp"
#include "support/random_records.hpp"

#include <nestor/io/journal_witness.hpp>

#include <catch2/catch.hpp>

namespace nestor::tests {
namespace {

namespace fs = std::filesystem;
namespace op = journal::op;

void make_sandbox(io::journal_store& store, std::uint64_t seed) {
  random_records random{seed};
  journal::operation what = op::want{random.wanted(random.id(), 1)};
  REQUIRE(store.perform({&what, 1}).front().done);
}

void lives(const journal_folder& folder, int times) {
  for (int i = 0; i < times; ++i) {
    auto store = folder.open();
    CHECK(store->doubt() == "");
    make_sandbox(*store, static_cast<std::uint64_t>(i));
  }
}

/// Content only, as `cp BACKUP journal.db` leaves it.
void put_back(const fs::path& from, const journal_folder& folder) {
  fs::copy_file(from, folder.file(), fs::copy_options::overwrite_existing);
  fs::remove(folder.file() + "-wal");
}

} // namespace

TEST_CASE("a journal that goes on is not doubted") {
  journal_folder folder;
  lives(folder, 4);
}

TEST_CASE("an older state of a journal is doubted until somebody confirms it, through restarts") {
  journal_folder folder;
  lives(folder, 2);
  auto backup = folder.path() / "backup";
  fs::copy_file(folder.file(), backup);
  lives(folder, 1);
  put_back(backup, folder);
  CHECK_THAT(folder.open()->doubt(), Catch::Contains("later life"));
  {
    auto store = folder.open();
    CHECK(store->doubt() != "");
    REQUIRE(store->confirm());
    CHECK(store->doubt() == "");
  }
  lives(folder, 2);
}

TEST_CASE("an older state of the same life is doubted") {
  journal_folder folder;
  lives(folder, 1);
  auto backup = folder.path() / "backup";
  fs::copy_file(folder.file(), backup);
  auto seen = io::read_witness(folder.file() + ".witness");
  REQUIRE(seen);
  seen->commits += 1; // as it was when the node went on for more than a second
  REQUIRE(io::write_witness(folder.file() + ".witness", *seen));
  CHECK_THAT(folder.open()->doubt(), Catch::Contains("has been further"));
}

TEST_CASE("a copy is doubted, with its witness and without, and the original is not") {
  journal_folder folder;
  lives(folder, 2);
  journal_folder copy;
  fs::copy_file(folder.file(), copy.file());
  fs::copy_file(folder.keys(), copy.keys());
  CHECK_THAT(copy.open()->doubt(), Catch::Contains("missing"));
  journal_folder whole;
  for (const auto& entry : fs::directory_iterator{folder.path()})
    fs::copy_file(entry.path(), whole.path() / entry.path().filename());
  CHECK_THAT(whole.open()->doubt(), Catch::Contains("a copy"));
  lives(folder, 2);
}

TEST_CASE("a start that died before its witness was written is no older state") {
  journal_folder folder;
  lives(folder, 1);
  auto witness = folder.path() / "earlier witness";
  for (int died = 0; died < 3; ++died) { // each time the journal begins a life that its witness does not know
    fs::copy_file(folder.file() + ".witness", witness, fs::copy_options::overwrite_existing);
    { auto store = folder.open(); }
    fs::copy_file(witness, folder.file() + ".witness", fs::copy_options::overwrite_existing);
  }
  lives(folder, 2);
}

TEST_CASE("what a witness may say of a journal") {
  io::journal_claim claim{"l2", "l1", 10, 7, "m"};
  auto with = [&](auto change) {
    io::journal_witness w{"l2", 10, 7, "m"};
    change(w);
    return io::doubt_of(claim, w) != "";
  };
  CHECK_FALSE(with([](auto&) {}));
  CHECK_FALSE(with([](auto& w) { w.commits = 3; }));     // it lags behind
  CHECK_FALSE(with([](auto& w) { w.life = "l1"; }));     // … by a start
  CHECK_FALSE(with([](auto& w) { w.machine.clear(); })); // a machine without a name
  CHECK(with([](auto& w) { w.commits = 11; }));
  CHECK(with([](auto& w) { w.life = "l3"; }));
  CHECK(with([](auto& w) { w.file = 8; }));
  CHECK(with([](auto& w) { w.machine = "other"; }));
  CHECK(io::doubt_of(claim, std::nullopt) != "");
}

} // namespace nestor::tests
