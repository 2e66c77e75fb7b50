#include "journal/journal_folder.hpp"
#include "support/canary.hpp"
#include "support/random_records.hpp"

#include <nestor/io/key_file.hpp>
#include <nestor/journal/sealing.hpp>
#include <nestor/providers/session_key.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <fstream>
#include <sstream>

namespace nestor::tests {
namespace {

using namespace journal;

key_ring ring_of(std::initializer_list<std::uint32_t> ids) {
  key_ring ring;
  for (auto id : ids)
    ring.keys.push_back(io::make_sealing_key(id));
  ring.current = ring.keys.back().id;
  return ring;
}

std::array<std::uint8_t, nonce_bytes> nonce_of(random_records& random) {
  std::array<std::uint8_t, nonce_bytes> nonce{};
  for (auto& b : nonce)
    b = static_cast<std::uint8_t>(random.below(256));
  return nonce;
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace

TEST_CASE("what was sealed is opened again with any ring that holds its key, and as nothing else") {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    INFO("seed " << seed);
    random_records random{seed};
    auto ring = ring_of({1, 2});
    auto plain = random.bytes();
    auto sandbox = random.id().text;
    identity who{"nsi-x", sandbox, "actual", random.number()};
    auto text = seal(plain, who, *ring.find(1), nonce_of(random));
    auto opened = unseal(text, who, ring);
    REQUIRE(opened);
    REQUIRE(std::string_view{*opened} == plain);

    auto refused = [&](const identity& as) { return unseal(text, as, ring).error().code; };
    CHECK(refused({"nsi-y", sandbox, "actual", who.number}) == errc::journal_corrupt);
    CHECK(refused({"nsi-x", "nst-other", "actual", who.number}) == errc::journal_corrupt);
    CHECK(refused({"nsi-x", sandbox, "wanted", who.number}) == errc::journal_corrupt);
    CHECK(refused({"nsi-x", sandbox, "actual", who.number + 1}) == errc::journal_corrupt);
    CHECK(unseal(text, who, ring_of({2})).error().code == errc::keys_refused);
    CHECK(unseal(text, who, ring_of({1})).error().code == errc::journal_corrupt); // another key of that id

    auto changed = text;
    auto at = random.below(changed.size());
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    CHECK_FALSE(unseal(changed, who, ring));
    CHECK_FALSE(unseal(text.substr(0, random.below(text.size())), who, ring));
  }
}

TEST_CASE("a key ring is read back as it was written, and nonsense is refused without quoting it") {
  auto ring = ring_of({3, 7, 9});
  auto again = read_key_ring(to_text(ring));
  REQUIRE(again);
  CHECK(again->current == 9);
  REQUIRE(again->keys.size() == 3);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK((again->keys[i].id == ring.keys[i].id && again->keys[i].bytes == ring.keys[i].bytes));
  for (const char* bad :
       {"", "nestor key ring 2\n", "nestor key ring 1\ncurrent 1\n", "nestor key ring 1\nkey 1 CANARYx\n",
        "nestor key ring 1\nkey zero AAAA\n", "nestor key ring 1\nlock 1 AAAA\n"}) {
    auto got = read_key_ring(bad);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::keys_refused);
    CHECK(got.error().cause.find("CANARY") == std::string::npos);
  }
}

TEST_CASE("a journal that is copied away tells no secret, no session key and no name, in any form") {
  journal_folder folder;
  auto store = folder.open();
  random_records random{11};
  std::string session_keys;
  for (int i = 0; i < 50; ++i) {
    auto id = random.id();
    auto wanted = random.wanted(id, 1);
    auto spec = std::make_shared<sandbox_spec>(*wanted.spec);
    auto c = std::make_shared<nested::configuration>();
    c->settings = wiped_string{R"({"llm_api_key":"CANARY-setting"})"};
    c->git_providers.push_back({"github", secret::copy_of("CANARY-git"), {}, {}});
    c->secrets.push_back({"TOKEN", secret::copy_of("CANARY-secret"), "CANARY-description"});
    auto runtime = std::make_shared<runtime_spec>(*spec->runtime);
    runtime->session_key = secret::copy_of("CANARY-session");
    spec->runtime = runtime;
    spec->configuration = c;
    spec->name = "CANARY-name";
    wanted.spec = spec;
    auto actual = random.actual(id, 1);
    auto rented = std::make_shared<providers::runtime>(random.runtime());
    rented->session_key = providers::session_key_of({store->installation(), id, 1}, store->node_secret());
    rented->headers.push_back({"X-Preview", wiped_string{"CANARY-header"}});
    actual.runtime = rented;
    rented->session_key.expose([&](std::string_view key) { session_keys.append(key).append("\n"); });
    actual.holds = std::make_shared<nested::delivery>(nested::delivery_of(*c, store->digests()));
    std::vector<operation> batch{op::want{wanted}, op::write{actual}};
    for (const auto& each : store->perform(batch))
      REQUIRE(each.done);
  }
  auto search = [&] {
    std::size_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator{folder.path()}) {
      auto text = bytes_of(entry.path());
      INFO(entry.path());
      CHECK(canary_in(text).empty());
      if (entry.path() == folder.keys())
        continue;
      bytes += text.size();
      std::istringstream keys{session_keys};
      for (std::string key; std::getline(keys, key);)
        REQUIRE(text.find(key) == std::string::npos);
    }
    return bytes;
  };
  CHECK(search() > 50'000); // with its log
  store.reset();
  CHECK(search() > 50'000);
  CHECK(canary_in("so it would be found: CANARY-x") != "");
}

} // namespace nestor::tests
