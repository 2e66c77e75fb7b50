#include "journal/journal_folder.hpp"
#include "support/random_records.hpp"

#include <nestor/io/key_file.hpp>

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX's
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nestor::tests {
namespace {

namespace op = journal::op;
namespace fs = std::filesystem;

journal::result one(io::journal_store& store, journal::operation what) {
  return store.perform({&what, 1}).front();
}

errc refusal_of(const io::journal_store_options& options) {
  auto opened = io::journal_store::open(options);
  REQUIRE_FALSE(opened);
  INFO(to_string(opened.error()));
  CHECK(opened.error().cause.find(options.path.substr(0, options.path.find_last_of('/'))) != std::string::npos);
  return opened.error().code;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void overwrite(const fs::path& file, const std::string& bytes) {
  std::ofstream{file, std::ios::binary | std::ios::trunc} << bytes;
}

/// A journal with some sandboxes in it, closed again.
std::vector<sandbox_id> filled(const journal_folder& folder) {
  auto store = folder.open();
  random_records random{7};
  std::vector<sandbox_id> ids;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(random.id());
    REQUIRE(one(*store, op::want{random.wanted(ids.back(), 1)}).done);
    REQUIRE(one(*store, op::write{random.actual(ids.back(), 1)}).done);
  }
  return ids;
}

} // namespace

TEST_CASE("what was answered as durable is there in the next life, and each life is counted") {
  journal_folder folder;
  auto ids = filled(folder);
  auto again = folder.open();
  CHECK(again->starts() == 2);
  CHECK(one(*again, op::list{{}, 100}).found.size() == ids.size());
  auto installation = again->installation();
  auto digests = again->digests().bytes;
  auto kept = again->node_secret();
  again.reset();
  again = folder.open();
  CHECK(again->installation() == installation);
  CHECK(again->digests().bytes == digests);
  CHECK(again->node_secret() == kept);
  CHECK(again->starts() == 3);
}

TEST_CASE("a journal that another process has is refused") {
  journal_folder folder;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  auto child = ::fork();
  if (child == 0) {
    auto held = io::journal_store::open(folder.options());
    char word = held ? 'y' : 'n';
    (void)!::write(ready[1], &word, 1);
    for (;;)
      ::pause();
  }
  char word = 0;
  REQUIRE(::read(ready[0], &word, 1) == 1);
  REQUIRE(word == 'y');
  CHECK(refusal_of(folder.options()) == errc::journal_locked);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(folder.open()->starts() == 2); // what a dead process held is free
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("reading keeps no room: what is written beside the file is folded into it") {
  journal_folder folder{quick_place()};
  auto store = folder.open();
  random_records random{3};
  auto id = random.id();
  REQUIRE(one(*store, op::want{random.wanted(id, 1)}).done);
  constexpr std::uintmax_t kept_at_most = 16U << 20U; // SQLite folds after 1,000 pages of 4 KiB
  std::uintmax_t written = 0;
  for (std::uint64_t revision = 1; written < 3 * kept_at_most; ++revision) {
    auto record = random.actual(id, revision);
    REQUIRE(one(*store, op::write{record}).done);
    REQUIRE(one(*store, op::read{id, 1}).wanted);
    REQUIRE(one(*store, op::load{id}).found.size() == 1);
    written += 2 * 4096U; // a page of the record's and one of the count's, at least
  }
  CHECK(fs::file_size(folder.file() + "-wal") < kept_at_most);
}

TEST_CASE("a journal of a newer version is refused and left as it is") {
  journal_folder folder;
  filled(folder);
  { auto db = folder.open(); } // its log is written back
  auto bytes = bytes_of(folder.file());
  auto at = bytes.find("schema_version2");
  REQUIRE(at != std::string::npos);
  bytes[at + 14] = '9';
  overwrite(folder.file(), bytes);
  CHECK(refusal_of(folder.options()) == errc::journal_newer);
  CHECK(bytes_of(folder.file()) == bytes);
}

TEST_CASE("a file that is no database, or a damaged one, is refused") {
  journal_folder folder;
  overwrite(folder.file(), std::string(8'192, 'x'));
  CHECK(refusal_of(folder.options()) == errc::journal_corrupt);

  journal_folder damaged;
  filled(damaged);
  auto bytes = bytes_of(damaged.file());
  for (std::size_t i = 100; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i * 31);
  overwrite(damaged.file(), bytes);
  CHECK(refusal_of(damaged.options()) == errc::journal_corrupt);
}

TEST_CASE("a sealed record that was changed is never taken for one") {
  journal_folder folder;
  auto ids = filled(folder);
  auto bytes = bytes_of(folder.file());
  std::size_t hits = 0;
  for (auto at = bytes.find("s1.1."); at != std::string::npos; at = bytes.find("s1.1.", at + 1), ++hits)
    bytes[at + 40] = bytes[at + 40] == 'A' ? 'B' : 'A';
  REQUIRE(hits >= ids.size() * 2);
  overwrite(folder.file(), bytes);
  auto opened = io::journal_store::open(folder.options());
  REQUIRE_FALSE(opened); // its own secret is sealed, too
  CHECK(opened.error().code == errc::keys_refused);
}

TEST_CASE("without its key ring, or with another one, a journal is not opened and no ring is made") {
  journal_folder folder;
  filled(folder);
  auto ring = bytes_of(folder.keys());
  fs::remove(folder.keys());
  CHECK(refusal_of(folder.options()) == errc::keys_refused);
  CHECK_FALSE(fs::exists(folder.keys()));

  REQUIRE(io::make_key_ring(folder.keys()));
  CHECK(refusal_of(folder.options()) == errc::keys_refused);
  fs::remove(folder.keys());
  overwrite(folder.keys(), "nonsense\n");
  fs::permissions(folder.keys(), fs::perms::owner_read | fs::perms::owner_write);
  CHECK(refusal_of(folder.options()) == errc::keys_refused);

  overwrite(folder.keys(), ring);
  CHECK(folder.open()->starts() == 2); // refusals did not count as starts
}

TEST_CASE("a key ring is made for its owner alone, and one that others may read is refused") {
  journal_folder folder;
  (void)folder.open();
  struct stat is {};
  REQUIRE(::stat(folder.keys().c_str(), &is) == 0);
  CHECK((is.st_mode & 0777U) == 0600U);
  fs::permissions(folder.keys(), fs::perms::others_read, fs::perm_options::add);
  CHECK(refusal_of(folder.options()) == errc::keys_refused);
}

TEST_CASE("a journal whose folder is missing is refused, and so is one in a folder that cannot be written") {
  journal_folder folder;
  auto options = folder.options();
  options.path = (folder.path() / "nowhere" / "journal.db").string();
  auto opened = io::journal_store::open(options);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == errc::journal_unavailable);
}

TEST_CASE("on a full disk every caller is told, nothing is acted on, and room helps") {
  journal_folder folder;
  auto store = folder.open();
  random_records random{3};
  auto id = random.id();
  REQUIRE(one(*store, op::want{random.wanted(id, 1)}).done);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto size = std::max(fs::file_size(folder.file()), fs::file_size(folder.file() + "-wal"));
  rlimit full{size, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  std::vector<journal::operation> batch;
  for (int i = 1; i <= 40; ++i)
    batch.emplace_back(op::want{random.wanted(id, static_cast<generation>(i + 1))});
  auto answers = store->perform(batch);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::size_t refused = 0;
  for (const auto& each : answers)
    if (!each.done) {
      ++refused;
      REQUIRE(each.why);
      CHECK(each.why->code == errc::journal_unavailable);
    }
  CHECK(refused > 0);
  auto kept = one(*store, op::load{id});
  REQUIRE(kept.done);
  for (std::size_t i = 0; i < answers.size(); ++i) // what was answered as durable is there
    if (answers[i].done && i + 2 + journal::generations_max > batch.size() + 1)
      CHECK(one(*store, op::read{id, i + 2}).wanted);
  CHECK(one(*store, op::want{random.wanted(id, 100)}).done);
  store.reset();
  CHECK(one(*folder.open(), op::read{id, 100}).wanted);
}

} // namespace nestor::tests
