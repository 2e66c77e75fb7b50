#include <nestor/bridge/memory_journal.hpp>

#include <nestor/actors/messages.hpp>

#include <algorithm>
#include <array>

namespace nestor::bridge {
namespace {

// The newest, and the one before it that a refused update goes back to; while changes follow one another quickly the
// confirmed one may be several back.
constexpr std::size_t generations_max = 16;

void answer(const actors::reply_to& to, auto message) {
  if (auto whom = caf::actor_cast<caf::actor>(to.whom))
    actors::tell_from_outside(whom, std::move(message));
}

std::size_t bytes_of(const sandbox_spec& spec) {
  std::size_t bytes = sizeof spec + spec.name.size() + spec.dialect.size() + sizeof(runtime_spec) + spec.runtime->url.size();
  const auto& c = *spec.configuration;
  bytes += sizeof c + c.settings.capacity();
  for (const auto& item : c.git_providers)
    bytes += sizeof item + item.git_provider.size() + item.token.expose([](auto v) { return v.size(); });
  for (const auto& item : c.secrets)
    bytes += sizeof item + item.name.size() + item.value.expose([](auto v) { return v.size(); });
  return bytes;
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
  {
    std::lock_guard lock{mutex_};
    auto& actual = records_[record.sandbox].actual;
    if (revision > actual.revision)
      actual = std::move(record);
  }
  answer(to, actors::journal_done{revision, true});
}

void memory_journal::want(actors::wanted_record record, actors::reply_to to) {
  {
    std::lock_guard lock{mutex_};
    auto& wanted = records_[record.sandbox].wanted;
    wanted.push_back(std::make_shared<actors::wanted_record>(std::move(record)));
    if (wanted.size() > generations_max)
      wanted.pop_front();
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

void memory_journal::forget(const sandbox_id& sandbox) {
  std::lock_guard lock{mutex_};
  records_.erase(sandbox);
}

std::size_t memory_journal::bytes_held() const {
  std::lock_guard lock{mutex_};
  std::size_t bytes = 0;
  for (const auto& [id, record] : records_) {
    bytes += sizeof record + 2 * id.text.size() + sizeof(void*) * 4;
    for (const auto& each : record.wanted)
      bytes += sizeof *each + bytes_of(*each->spec);
  }
  return bytes;
}

} // namespace nestor::bridge
