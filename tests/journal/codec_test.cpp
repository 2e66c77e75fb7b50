#include "support/random_records.hpp"

#include <nestor/journal/codec.hpp>

#include <catch2/catch.hpp>

#include <chrono>

namespace nestor::journal {
namespace {

const time_anchor anchor{{2'000'000'000}, {1'800'000'000'000}, "boot-a"};

bool same(const std::shared_ptr<const failure>& a, const std::shared_ptr<const failure>& b) {
  return (!a && !b) || (a && b && *a == *b);
}
bool same(const supervision::memo& a, const supervision::memo& b) {
  return a.what == b.what && a.number == b.number && a.open == b.open && a.create_out == b.create_out &&
         a.touched == b.touched && a.doomed == b.doomed && a.refused == b.refused && a.rests == b.rests &&
         a.replaced == b.replaced && a.wanted == b.wanted && a.observed == b.observed && a.spoken == b.spoken &&
         a.unspoken == b.unspoken && same(a.why, b.why);
}
bool same(const std::vector<http::header>& a, const std::vector<http::header>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.name == y.name && x.value == y.value; });
}
bool same(const providers::runtime& a, const providers::runtime& b) {
  return a.ref == b.ref && a.where == b.where && a.path_prefix == b.path_prefix && same(a.headers, b.headers) &&
         a.session_key == b.session_key && a.from == b.from && a.process == b.process;
}
bool same(const runtime_spec& a, const runtime_spec& b) {
  return a.image == b.image && a.command == b.command && a.port == b.port && a.port_env == b.port_env &&
         a.session_key_env == b.session_key_env && a.env == b.env && a.url == b.url && a.session_key == b.session_key &&
         a.adopt == b.adopt && a.alive_path == b.alive_path && a.cpu == b.cpu && a.memory_bytes == b.memory_bytes &&
         a.actions == b.actions && a.actions_port == b.actions_port && a.options == b.options;
}
bool same(const sandbox_policy& a, const sandbox_policy& b) {
  return a.failing == b.failing && a.losing == b.losing && a.ready_within == b.ready_within &&
         a.queue_within == b.queue_within && a.step_timeout == b.step_timeout && a.probe_every == b.probe_every &&
         a.restarts.max == b.restarts.max && a.restarts.within == b.restarts.within && a.lease == b.lease &&
         a.max_lifetime == b.max_lifetime && a.idle_after == b.idle_after;
}
bool same(const sandbox_spec& a, const sandbox_spec& b) {
  return a.name == b.name && a.labels == b.labels && a.provider == b.provider && same(*a.runtime, *b.runtime) &&
         a.dialect == b.dialect && nested::canonical(*a.configuration) == nested::canonical(*b.configuration) &&
         a.configuration->secret_settings == b.configuration->secret_settings && a.conversation == b.conversation &&
         same(a.policy, b.policy);
}
template <class T>
bool same_pointed(const std::shared_ptr<const T>& a, const std::shared_ptr<const T>& b) {
  if constexpr (requires { *a == *b; })
    return (!a && !b) || (a && b && *a == *b);
  else
    return (!a && !b) || (a && b && same(*a, *b));
}

} // namespace

TEST_CASE("every record is read back as it was written") {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    tests::random_records random{seed};
    INFO("seed " << seed);
    auto id = random.id();
    auto a = random.actual(id, random.number());
    auto got = decode_actual(encode(a, anchor), anchor);
    REQUIRE(got);
    REQUIRE((got->sandbox == a.sandbox && got->revision == a.revision && same(got->kept, a.kept)));
    REQUIRE((got->dialect == a.dialect && got->strength == a.strength && got->configured_since == a.configured_since));
    REQUIRE(got->provisioned_at == a.provisioned_at);
    REQUIRE((same_pointed(got->runtime, a.runtime) && same_pointed(got->holds, a.holds)));

    auto w = random.wanted(id, random.number());
    auto wanted = decode_wanted(encode(w));
    REQUIRE(wanted);
    REQUIRE((wanted->sandbox == w.sandbox && wanted->number == w.number && same(*wanted->spec, *w.spec)));

    auto c = random.closed(id);
    auto closed = decode_closed(encode(c));
    REQUIRE(closed);
    REQUIRE((closed->sandbox == c.sandbox && closed->ended == c.ended));
    REQUIRE(to_json(*closed->last) == to_json(*c.last));
    REQUIRE(encode(*closed) == encode(c));
  }
}

TEST_CASE("bytes that are no record are refused, whatever they are") {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    tests::random_records random{seed};
    INFO("seed " << seed);
    auto whole = std::string{encode(random.wanted(random.id(), 1))};
    auto cut = decode_wanted(std::string_view{whole}.substr(0, random.below(whole.size())));
    REQUIRE_FALSE(cut);
    REQUIRE(cut.error().code == errc::journal_corrupt);
    REQUIRE_FALSE(decode_wanted(whole + "x"));
    auto flipped = whole;
    flipped[random.below(flipped.size())] ^= static_cast<char>(1U << random.below(8));
    (void)decode_wanted(flipped); // anything but a crash; sealing tells the rest
    (void)decode_actual(flipped, anchor);
    (void)decode_closed(flipped);
  }
}

TEST_CASE("a record of a newer version is refused, and the refusal says which") {
  tests::random_records random{1};
  auto bytes = encode(random.wanted(random.id(), 1));
  bytes[0] = static_cast<char>(record_version + 1);
  auto got = decode_wanted(bytes);
  REQUIRE_FALSE(got);
  CHECK(got.error().code == errc::journal_newer);
  CHECK(got.error().cause.find("version " + std::to_string(record_version + 1)) != std::string::npos);
}

TEST_CASE("a moment survives the process, the boot, and a clock that steps") {
  tests::random_records random{1};
  auto record = random.actual(random.id(), 1);
  record.configured_since = anchor.now - std::chrono::seconds{100};
  auto bytes = encode(record, anchor);
  auto since = [&](const time_anchor& at) { return *decode_actual(bytes, at)->configured_since; };
  auto hour = std::chrono::milliseconds{3'600'000};

  // the same boot: the steady clock goes on, and the wall clock may say what it likes
  auto later = anchor.now + std::chrono::seconds{50};
  for (std::int64_t step : {std::int64_t{0}, std::int64_t{hour.count()}, -std::int64_t{hour.count()}})
    CHECK(since({later, {anchor.wall.ms + 50'000 + step}, "boot-a"}) == *record.configured_since);

  // another boot: as long ago as the wall clock says
  instant fresh{5'000'000};
  CHECK(since({fresh, {anchor.wall.ms + 900'000}, "boot-b"}) == fresh - std::chrono::seconds{1'000});
  CHECK(since({fresh, {anchor.wall.ms + 900'000 - hour.count()}, "boot-b"}) == fresh); // stepped back: never later
  CHECK(since({fresh, {anchor.wall.ms + hour.count()}, "boot-b"}) == fresh - hour - std::chrono::seconds{100});
}

} // namespace nestor::journal
