#include <nestor/journal/codec.hpp>

#include <nestor/journal/internal/archive.hpp>

#include <algorithm>

namespace nestor {

// The last value of each enumeration that is stored as a number: their order is part of the form.
constexpr adoption last_of(adoption) {
  return adoption::overwrite;
}
constexpr on_failure last_of(on_failure) {
  return on_failure::keep;
}
constexpr on_loss last_of(on_loss) {
  return on_loss::replace;
}
constexpr actions_via last_of(actions_via) {
  return actions_via::provider_exec;
}
constexpr address_source last_of(address_source) {
  return address_source::spec;
}
constexpr status last_of(status) {
  return status::destroyed;
}
constexpr truth last_of(truth) {
  return truth::unknown;
}
constexpr outcome last_of(outcome) {
  return outcome::failed;
}
namespace nested {
constexpr evidence last_of(evidence) {
  return evidence::value;
}
} // namespace nested
namespace supervision {
constexpr note last_of(note) {
  return note::conversed;
}
constexpr talk last_of(talk) {
  return talk::unknown;
}
} // namespace supervision

// -- the fields, in the order in which they are stored ------------------------------------------------------------

using journal::internal::any_of;

template <class A, any_of<wall_time> T>
void fields(A& a, T& x) {
  a(x.ms);
}
template <class A, any_of<sandbox_id> T>
void fields(A& a, T& x) {
  a(x.text);
}
template <class A, any_of<failure> T>
void fields(A& a, T& x) {
  a(x.code, x.at, x.cause, x.status, x.retry_after);
}
template <class A, any_of<endpoint> T>
void fields(A& a, T& x) {
  a(x.tls, x.host, x.port, x.unix_path, x.ca_file);
}
template <class A, any_of<process_ref> T>
void fields(A& a, T& x) {
  a(x.pid, x.start_time, x.boot_id);
}
template <class A, any_of<intensity_limit> T>
void fields(A& a, T& x) {
  a(x.max, x.within);
}
template <class A, any_of<runtime_spec> T>
void fields(A& a, T& x) {
  a(x.image, x.command, x.port, x.port_env, x.session_key_env, x.env, x.url, x.session_key, x.adopt, x.alive_path,
    x.cpu, x.memory_bytes, x.actions, x.actions_port, x.options);
}
template <class A, any_of<sandbox_policy> T>
void fields(A& a, T& x) {
  a(x.failing, x.losing, x.ready_within, x.queue_within, x.step_timeout, x.probe_every, x.restarts, x.lease,
    x.max_lifetime, x.idle_after);
}
template <class A, any_of<sandbox_spec> T>
void fields(A& a, T& x) {
  a(x.tenant, x.name, x.labels, x.provider, x.runtime, x.dialect, x.configuration, x.conversation, x.policy);
}

namespace http {
template <class A, any_of<header> T>
void fields(A& a, T& x) {
  a(x.name, x.value);
}
} // namespace http

namespace nested {
template <class A, any_of<git_credential> T>
void fields(A& a, T& x) {
  a(x.git_provider, x.token, x.host, x.user_id);
}
template <class A, any_of<custom_secret> T>
void fields(A& a, T& x) {
  a(x.name, x.value, x.description);
}
template <class A, any_of<configuration> T>
void fields(A& a, T& x) {
  a(x.settings, x.secret_settings, x.git_providers, x.secrets);
}
template <class A, any_of<digest> T>
void fields(A& a, T& x) {
  a(x.key_id, x.bytes);
}
template <class A, any_of<delivery> T>
void fields(A& a, T& x) {
  a(x.settings, x.git_providers, x.secrets, x.settings_members);
}
} // namespace nested

namespace providers {
template <class A, any_of<runtime> T>
void fields(A& a, T& x) {
  a(x.ref, x.where, x.path_prefix, x.headers, x.session_key, x.from, x.process);
}
} // namespace providers

namespace supervision {
template <class A, any_of<memo> T>
void fields(A& a, T& x) {
  a(x.what, x.number, x.open, x.create_out, x.touched, x.doomed, x.refused, x.rests, x.replaced, x.wanted, x.observed,
    x.why);
}
} // namespace supervision

/// Types and reasons are texts of ours that live for ever: they are stored as text and found again among those.
std::string_view known_word(std::string_view text) {
  static const auto types = [] {
    supervision::policy every;
    every.converses = true;
    return conditions_of(supervision::state{}, every);
  }();
  for (const auto& each : types)
    if (each.type == text)
      return each.type;
  for (auto p = supervision::phase{}; p != supervision::phase::count_;
       p = static_cast<supervision::phase>(static_cast<int>(p) + 1))
    if (supervision::name_of(p) == text)
      return supervision::name_of(p);
  for (std::string_view word : {"configured", "not_paused", "not_ours", "no_lease", "renewed", "renewal_failed",
                                "started", "starting", "not_started"}) // of sandbox/view.cpp
    if (word == text)
      return word;
  auto code = errc_named(text);
  return code ? name_of(*code) : "";
}

template <class A, any_of<condition> T>
void fields(A& a, T& x) {
  std::string type{x.type};
  std::string reason{x.reason};
  a(type, x.status, reason, x.message);
  if constexpr (A::reads) {
    x.type = known_word(type);
    x.reason = known_word(reason);
  }
}
template <class A, any_of<timeline_entry> T>
void fields(A& a, T& x) {
  a(x.at, x.result, x.attempts, x.started, x.ended);
}
template <class A, any_of<sandbox_view> T>
void fields(A& a, T& x) {
  a(x.id, x.name, x.tenant, x.provider, x.labels, x.word, x.wanted, x.observed, x.conditions, x.strength, x.weakest,
    x.runtime_ref, x.number, x.fence, x.dialect, x.created, x.timeline, x.why);
}

namespace journal {
namespace {

/// A moment of the steady clock, as it is stored.
struct stored_moment {
  std::string boot;
  std::int64_t us = 0; ///< on that boot's clock
  std::int64_t wall_ms = 0;
};
template <class A, any_of<stored_moment> T>
void fields(A& a, T& x) {
  a(x.boot, x.us, x.wall_ms);
}

template <class A, any_of<actual_record> T>
void fields(A& a, T& x) {
  a(x.sandbox, x.revision, x.kept, x.dialect, x.strength, x.provisioned_at, x.runtime, x.holds);
}
template <class A, any_of<wanted_record> T>
void fields(A& a, T& x) {
  a(x.sandbox, x.number, x.spec);
}
template <class A, any_of<closed_record> T>
void fields(A& a, T& x) {
  a(x.sandbox, x.ended, x.last);
}

stored_moment stored(instant moment, const time_anchor& at) {
  return {at.boot, moment.us, at.wall.ms - (at.now - moment).count() / 1'000};
}

instant moment_of(const stored_moment& kept, const time_anchor& at) {
  constexpr std::int64_t longest_ago_ms = 10LL * 365 * 24 * 3'600 * 1'000; // a clock that lies by more is not believed
  if (kept.boot == at.boot)
    return std::min(instant{kept.us}, at.now);
  auto ago = std::clamp(at.wall.ms - kept.wall_ms, std::int64_t{0}, longest_ago_ms);
  return at.now - milliseconds{ago};
}

failure bad(errc code, std::string cause) {
  return failure{code, step::queue, std::move(cause), 0, {}};
}

/// Reads the version and gives the rest to `use`.
template <class Record, class Use>
expected<Record> read(std::string_view bytes, std::string_view what, Use&& use) {
  internal::reader in{bytes};
  if (auto version = in.number(); in.whole() && version > record_version)
    return bad(errc::journal_newer, std::string{what} + " is of version " + std::to_string(version) +
                                      "; this build reads up to " + std::to_string(record_version));
  Record record;
  use(in, record);
  if (!in.whole() || !in.empty())
    return bad(errc::journal_corrupt, std::string{what} + " is damaged");
  return record;
}

template <class Record, class Use>
wiped_string written(const Record& record, Use&& use) {
  internal::writer out;
  out.number(record_version);
  use(out, record);
  return out.take();
}

} // namespace

wiped_string encode(const actual_record& record, const time_anchor& at) {
  return written(record, [&](internal::writer& out, const actual_record& r) {
    fields(out, r);
    out(r.configured_since ? std::optional{stored(*r.configured_since, at)} : std::nullopt);
    out(r.kept.spoken, r.kept.unspoken); // since version 2
  });
}

wiped_string encode(const wanted_record& record) {
  return written(record, [](internal::writer& out, const wanted_record& r) { fields(out, r); });
}

wiped_string encode(const closed_record& record) {
  return written(record, [](internal::writer& out, const closed_record& r) { fields(out, r); });
}

expected<actual_record> decode_actual(std::string_view bytes, const time_anchor& at) {
  return read<actual_record>(bytes, "an `actual` record", [&](internal::reader& in, actual_record& r) {
    fields(in, r);
    std::optional<stored_moment> since;
    in(since);
    if (since)
      r.configured_since = moment_of(*since, at);
    if (in.whole() && !in.empty())
      in(r.kept.spoken, r.kept.unspoken);
  });
}

expected<wanted_record> decode_wanted(std::string_view bytes) {
  return read<wanted_record>(bytes, "a `wanted` record", [](internal::reader& in, wanted_record& r) {
    fields(in, r);
    if (!r.spec || !r.spec->runtime || !r.spec->configuration)
      in.fail();
  });
}

expected<closed_record> decode_closed(std::string_view bytes) {
  return read<closed_record>(bytes, "the record of an ended sandbox", [](internal::reader& in, closed_record& r) {
    fields(in, r);
    if (!r.last)
      in.fail();
  });
}

} // namespace journal
} // namespace nestor
