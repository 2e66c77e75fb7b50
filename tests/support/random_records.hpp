// Records with every field at random, for tests that write and read them. The same seed gives the same record.
#pragma once

#include <nestor/journal/records.hpp>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace nestor::tests {

class random_records {
public:
  explicit random_records(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  bool coin() { return below(2) == 0; }
  std::uint64_t number() { return engine_() >> below(64); }
  /// Any bytes: zeros and what is not UTF-8 too.
  std::string bytes() {
    std::string text(below(4) == 0 ? 0 : below(40), '\0');
    for (auto& c : text)
      c = static_cast<char>(below(256));
    return text;
  }
  secret key() { return secret{bytes()}; }
  sandbox_id id() {
    std::vector<std::uint8_t> entropy(id_entropy_bytes);
    for (auto& b : entropy)
      b = static_cast<std::uint8_t>(below(256));
    return make_sandbox_id(entropy);
  }
  template <class Make>
  auto maybe(Make&& make) -> std::optional<decltype(make())> {
    return coin() ? std::optional{make()} : std::nullopt;
  }
  template <class E>
  E one_of(E last) {
    return static_cast<E>(below(static_cast<std::uint64_t>(last) + 1));
  }
  milliseconds span() { return milliseconds{static_cast<std::int64_t>(number() >> 1U)}; }
  failure why() {
    failure f;
    f.code = static_cast<errc>(below(static_cast<std::uint64_t>(errc::count_)));
    f.at = static_cast<step>(below(static_cast<std::uint64_t>(step::count_)));
    f.cause = bytes();
    f.status = static_cast<std::uint16_t>(below(600));
    f.retry_after = maybe([&] { return span(); });
    return f;
  }
  nested::digest digest() {
    nested::digest d{static_cast<std::uint32_t>(number()), {}};
    for (auto& b : d.bytes)
      b = static_cast<std::uint8_t>(below(256));
    return d;
  }

  supervision::memo memo() {
    supervision::memo m;
    m.what = one_of(supervision::note::conversed);
    m.number = static_cast<attempt>(number());
    m.open = coin(), m.create_out = coin(), m.touched = coin(), m.doomed = coin(), m.refused = coin(), m.rests = coin();
    m.replaced = static_cast<std::uint8_t>(below(256));
    m.wanted = number(), m.observed = number();
    m.spoken = one_of(supervision::talk::unknown);
    m.unspoken = maybe([&] { return one_of(errc::internal); });
    if (coin())
      m.why = std::make_shared<failure>(why());
    return m;
  }
  providers::runtime runtime() {
    providers::runtime r;
    r.ref = bytes();
    r.where = {coin(), bytes(), static_cast<std::uint16_t>(below(65'536)), bytes(), bytes()};
    r.path_prefix = bytes();
    for (auto n = below(3); n > 0; --n)
      r.headers.push_back({bytes(), wiped_string{bytes()}});
    r.session_key = key();
    r.from = one_of(address_source::spec);
    r.process = maybe([&] { return process_ref{static_cast<std::int64_t>(number()), number(), bytes()}; });
    return r;
  }
  nested::delivery delivery() {
    nested::delivery d;
    d.settings = maybe([&] { return digest(); });
    for (auto n = below(3); n > 0; --n)
      d.git_providers.emplace_back(bytes(), digest()), d.secrets.emplace_back(bytes(), digest());
    for (auto n = below(3); n > 0; --n)
      d.settings_members.push_back(bytes());
    return d;
  }
  journal::actual_record actual(sandbox_id of, std::uint64_t revision) {
    journal::actual_record r;
    r.sandbox = std::move(of);
    r.revision = revision;
    r.kept = memo();
    r.dialect = bytes();
    r.strength = one_of(nested::evidence::value);
    r.configured_since = maybe([&] { return instant{static_cast<std::int64_t>(below(1'000'000'000))}; });
    r.provisioned_at = {static_cast<std::int64_t>(number())};
    if (coin())
      r.runtime = std::make_shared<providers::runtime>(runtime());
    if (coin())
      r.holds = std::make_shared<nested::delivery>(delivery());
    return r;
  }

  nested::configuration configuration() {
    nested::configuration c;
    c.settings = wiped_string{bytes()};
    for (auto n = below(3); n > 0; --n) {
      c.secret_settings.push_back(bytes());
      c.git_providers.push_back({bytes(), key(), maybe([&] { return bytes(); }), maybe([&] { return bytes(); })});
      c.secrets.push_back({bytes(), key(), bytes()});
    }
    return c;
  }
  runtime_spec wanted_runtime() {
    runtime_spec r;
    r.image = bytes();
    for (auto n = below(3); n > 0; --n)
      r.command.push_back(bytes()), r.env.emplace_back(bytes(), bytes());
    r.port = static_cast<std::uint16_t>(below(65'536));
    r.port_env = bytes(), r.session_key_env = bytes(), r.url = bytes(), r.alive_path = bytes(), r.options = bytes();
    r.session_key = key();
    r.adopt = one_of(adoption::overwrite);
    r.cpu = maybe([&] { return static_cast<double>(below(1000)) / 8; });
    r.memory_bytes = maybe([&] { return number(); });
    r.actions = one_of(actions_via::provider_exec);
    r.actions_port = static_cast<std::uint16_t>(below(65'536));
    return r;
  }
  sandbox_policy policy() {
    sandbox_policy p;
    p.failing = one_of(on_failure::keep);
    p.losing = one_of(on_loss::replace);
    p.ready_within = span(), p.queue_within = span(), p.probe_every = span();
    p.restarts = {static_cast<std::uint32_t>(number()), span()};
    p.step_timeout = maybe([&] { return span(); });
    p.lease = maybe([&] { return span(); });
    p.max_lifetime = maybe([&] { return span(); });
    p.idle_after = maybe([&] { return span(); });
    return p;
  }
  journal::wanted_record wanted(sandbox_id of, generation number) {
    auto spec = std::make_shared<sandbox_spec>();
    spec->name = bytes(), spec->provider = bytes(), spec->dialect = bytes(), spec->conversation = bytes();
    for (auto n = below(3); n > 0; --n)
      spec->labels.emplace(bytes(), bytes());
    spec->runtime = std::make_shared<runtime_spec>(wanted_runtime());
    spec->configuration = std::make_shared<nested::configuration>(configuration());
    spec->policy = policy();
    return {std::move(of), number, std::move(spec)};
  }
  journal::closed_record closed(sandbox_id of) {
    auto v = std::make_shared<sandbox_view>();
    v->id = of;
    v->name = bytes(), v->tenant = bytes(), v->provider = bytes(), v->runtime_ref = bytes(), v->dialect = bytes();
    v->labels.emplace(bytes(), bytes());
    v->word = one_of(status::destroyed);
    v->wanted = number(), v->observed = number(), v->fence = number();
    supervision::state state;
    state.now = static_cast<supervision::phase>(below(static_cast<std::uint64_t>(supervision::phase::count_)));
    state.observed = below(2);
    if (coin())
      state.why = why();
    supervision::policy policy;
    policy.withdraws = coin();
    v->conditions = conditions_of(state, policy);
    v->strength = one_of(nested::evidence::value);
    v->weakest = step::secrets;
    v->number = static_cast<attempt>(number());
    v->created = {static_cast<std::int64_t>(number())};
    v->timeline.push_back({step::alive, one_of(outcome::failed), 3, {static_cast<std::int64_t>(number())}, {7}});
    v->why = maybe([&] { return why(); });
    return {std::move(of), {static_cast<std::int64_t>(number())}, std::move(v)};
  }

private:
  std::mt19937_64 engine_;
};

} // namespace nestor::tests
