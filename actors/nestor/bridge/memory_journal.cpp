#include <nestor/bridge/memory_journal.hpp>

#include <nestor/actors/messages.hpp>

#include <algorithm>
#include <array>

namespace nestor::bridge {
namespace {

void answer(const actors::reply_to& to, auto message) {
  if (auto whom = caf::actor_cast<caf::actor>(to.whom))
    actors::tell_from_outside(whom, std::move(message));
}

// -- what records take, as the allocator sees it: blocks of 16 bytes, 8 of them its own, 32 at least

std::size_t block(std::size_t bytes) {
  return bytes == 0 ? 0 : std::max<std::size_t>(32, (bytes + 8 + 15) / 16 * 16);
}

constexpr std::size_t shared_head = 16; // of what make_shared makes

std::size_t text(const auto& s) {
  constexpr std::size_t inside = 15; // characters that need no block
  return s.capacity() > inside ? block(s.capacity() + 1) : 0;
}

std::size_t bytes_of(const secret& s) {
  return s.expose([](auto v) { return v.empty() ? 0 : block(shared_head + 16) + block(v.size()); });
}

std::size_t bytes_of(const nested::configuration& c) {
  auto bytes = block(shared_head + sizeof c) + text(c.settings) +
               block(c.secret_settings.capacity() * sizeof(std::string)) +
               block(c.git_providers.capacity() * sizeof(nested::git_credential)) +
               block(c.secrets.capacity() * sizeof(nested::custom_secret));
  for (const auto& item : c.secret_settings)
    bytes += text(item);
  for (const auto& item : c.git_providers)
    bytes += text(item.git_provider) + bytes_of(item.token);
  for (const auto& item : c.secrets)
    bytes += text(item.name) + text(item.description) + bytes_of(item.value);
  return bytes;
}

std::size_t bytes_of(const sandbox_spec& spec) {
  const auto& r = *spec.runtime;
  return block(shared_head + sizeof spec) + text(spec.name) + block(shared_head + sizeof r) + text(r.url) +
         bytes_of(r.session_key) + bytes_of(*spec.configuration);
}

std::size_t bytes_of(const providers::runtime& r) {
  return block(shared_head + sizeof r) + text(r.ref) + text(r.where.host) + text(r.path_prefix);
}

std::size_t bytes_of(const nested::delivery& d) {
  constexpr std::size_t entry = sizeof(std::pair<std::string, nested::digest>);
  return block(shared_head + sizeof d) + block(d.git_providers.capacity() * entry) +
         block(d.secrets.capacity() * entry);
}

} // namespace

memory_journal::memory_journal(actors::entropy_port& entropy) {
  std::array<std::uint8_t, id_entropy_bytes> id{};
  entropy.fill(id);
  installation_ = make_installation_id(id);
  std::string key(32, '\0');
  entropy.fill({reinterpret_cast<std::uint8_t*>(key.data()), key.size()});
  key_ = std::make_shared<nested::digest_key>(nested::digest_key{1, secret{std::move(key)}});
}

void memory_journal::write(actors::actual_record record, actors::reply_to to) {
  auto revision = record.revision;
  bool newer = false;
  {
    std::lock_guard lock{mutex_};
    auto& actual = records_[record.sandbox].actual;
    newer = revision > actual.revision;
    if (newer)
      actual = std::move(record);
  }
  answer(to, actors::journal_done{revision, newer});
}

void memory_journal::want(actors::wanted_record record, actors::reply_to to) {
  {
    std::lock_guard lock{mutex_};
    auto& wanted = records_[record.sandbox].wanted;
    wanted.push_back(std::make_shared<actors::wanted_record>(std::move(record)));
    if (wanted.size() > journal::generations_max)
      wanted.erase(wanted.begin());
  }
  answer(to, actors::journal_done{to.ticket, true});
}

void memory_journal::read(const sandbox_id& sandbox, generation number, actors::reply_to to) {
  std::shared_ptr<const actors::wanted_record> found;
  {
    std::lock_guard lock{mutex_};
    if (auto at = records_.find(sandbox); at != records_.end())
      for (const auto& each : at->second.wanted)
        if (each->number == number)
          found = each;
  }
  answer(to, actors::wanted_loaded{to.ticket, std::move(found)});
}

void memory_journal::unwant(const sandbox_id& sandbox, actors::reply_to to) {
  {
    std::lock_guard lock{mutex_};
    records_[sandbox].unwanted = true;
  }
  answer(to, actors::journal_done{to.ticket, true});
}

void memory_journal::load(const sandbox_id& sandbox, actors::reply_to to) {
  actors::sandbox_records found;
  {
    std::lock_guard lock{mutex_};
    if (auto at = records_.find(sandbox); at != records_.end()) {
      found.wanted = at->second.wanted;
      found.unwanted = at->second.unwanted;
      if (at->second.actual.revision != 0)
        found.actual = std::make_shared<actors::actual_record>(at->second.actual);
    }
  }
  answer(to, actors::records_loaded{to.ticket, std::move(found)});
}

/// There is no earlier process whose sandboxes it could know.
void memory_journal::list(const sandbox_id&, std::size_t, actors::reply_to to) {
  answer(to, actors::records_listed{to.ticket, {}, std::nullopt});
}

void memory_journal::forget(const sandbox_id& sandbox) {
  std::lock_guard lock{mutex_};
  records_.erase(sandbox);
}

std::size_t memory_journal::bytes_held() const {
  std::lock_guard lock{mutex_};
  std::size_t bytes = 0;
  for (const auto& [id, record] : records_) {
    bytes += block(sizeof record + sizeof id + 2 * sizeof(void*)) + 2 * text(id.text) + sizeof(void*);
    bytes += block(record.wanted.capacity() * sizeof(void*) * 2);
    if (record.actual.kept.why)
      bytes += block(shared_head + sizeof *record.actual.kept.why) + text(record.actual.kept.why->cause);
    if (record.actual.runtime)
      bytes += bytes_of(*record.actual.runtime);
    if (record.actual.holds)
      bytes += bytes_of(*record.actual.holds);
    for (const auto& each : record.wanted)
      bytes += block(shared_head + sizeof *each) + text(each->sandbox.text) + bytes_of(*each->spec);
  }
  return bytes;
}

} // namespace nestor::bridge
