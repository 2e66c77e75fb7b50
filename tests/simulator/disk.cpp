#include "disk.hpp"

#include <support/seeded_entropy.hpp>

#include <nestor/actors/messages.hpp>
#include <nestor/bridge/journal_answer.hpp>

#include <array>
#include <stdexcept>

namespace nestor::simulation {
namespace {

namespace op = journal::op;

// A sync takes that long at most, and at least a moment: meanwhile the next group gathers.
constexpr std::uint64_t sync_takes_ms = 4;

/// As bytes carry it.
template <class Record>
Record carried(expected<Record> read) {
  if (!read)
    throw std::logic_error{"a record cannot be read back: " + to_string(read.error())};
  return std::move(*read);
}

std::string in_words(const journal::operation& what, const transcript& told) {
  struct words {
    const transcript& told;
    std::string operator()(const op::write& o) const {
      const auto& k = o.record.kept;
      return "write " + told.alias(o.record.sandbox) + " " + std::string{name_of(k.what)} + " attempt " +
             std::to_string(k.number) + (k.open ? " open" : "") + (k.create_out ? " out" : "") +
             (k.doomed ? " doomed" : "") + " wanted " + std::to_string(k.wanted) + " observed " +
             std::to_string(k.observed);
    }
    std::string operator()(const op::want& o) const {
      return "want " + told.alias(o.record.sandbox) + " generation " + std::to_string(o.record.number);
    }
    std::string operator()(const op::read& o) const {
      return "read " + told.alias(o.sandbox) + " generation " + std::to_string(o.number);
    }
    std::string operator()(const op::unwant& o) const { return "unwant " + told.alias(o.sandbox); }
    std::string operator()(const op::close& o) const { return "close " + told.alias(o.record.sandbox); }
    std::string operator()(const op::forget& o) const { return "forget " + told.alias(o.sandbox); }
    std::string operator()(const op::load& o) const { return "load " + told.alias(o.sandbox); }
    std::string operator()(const op::list&) const { return "list"; }
  };
  return std::visit(words{told}, what);
}

} // namespace

disk::disk(std::uint64_t seed) {
  tests::seeded_entropy entropy{seed};
  std::array<std::uint8_t, id_entropy_bytes> id{};
  entropy.fill(id);
  installation = make_installation_id(id);
  auto bytes = [&] {
    std::string text(32, '\0');
    entropy.fill({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    return secret{std::move(text)};
  };
  key = std::make_shared<nested::digest_key>(nested::digest_key{1, bytes()});
  node_secret = bytes();
}

journal::result disk::perform(const journal::operation& what, const journal::time_anchor& at) {
  if (const auto* o = std::get_if<op::write>(&what))
    return kept_.perform(op::write{carried(journal::decode_actual(journal::encode(o->record, at), at))});
  if (const auto* o = std::get_if<op::close>(&what))
    return kept_.perform(op::close{carried(journal::decode_closed(journal::encode(o->record)))});
  const auto* o = std::get_if<op::want>(&what);
  if (!o) {
    auto result = kept_.perform(what);
    if (const auto* u = std::get_if<op::unwant>(&what); u && result.done)
      unwanted.insert(u->sandbox);
    return result;
  }
  auto record = carried(journal::decode_wanted(journal::encode(o->record)));
  auto result = kept_.perform(op::want{record});
  if (result.done && on_wanted)
    on_wanted(record);
  return result;
}

const journal::sandbox_records* disk::find(const sandbox_id& id) const {
  auto at = kept_.all().find(id);
  return at == kept_.all().end() ? nullptr : &at->second;
}

paper_journal::paper_journal(surroundings around) : around_(std::move(around)) {
  ++around_.records.starts;
}

journal::time_anchor paper_journal::anchor() const {
  return {around_.time.now(), around_.wall(), "boot"};
}

void paper_journal::ask(journal::operation what, actors::reply_to to) {
  if (!open_)
    return;
  queue_.push_back({std::move(what), std::move(to)});
  if (std::exchange(syncing_, true))
    return;
  auto takes = milliseconds{1 + around_.draw() % sync_takes_ms};
  around_.time.after(takes, [me = weak_from_this()] {
    if (auto self = me.lock())
      self->sync();
  });
}

void paper_journal::sync() {
  syncing_ = false;
  if (!open_)
    return;
  auto how = around_.fate_of_next();
  if (how == fate::crash_before)
    return;
  auto group = std::exchange(queue_, {});
  for (auto& each : group) {
    bool refused = how == fate::refused || how == fate::refused_but_there;
    bool reads = std::holds_alternative<op::read>(each.what) || std::holds_alternative<op::load>(each.what) ||
                 std::holds_alternative<op::list>(each.what);
    // What a client was refused may be there all the same (docs/decisions/0007): the node finds that out when it starts
    // again. Until then it cannot be asked for it, so that is left to the tests of the journal.
    bool kept = how != fate::refused && !(refused && std::holds_alternative<op::want>(each.what));
    journal::result came;
    if (kept || reads)
      came = around_.records.perform(each.what, anchor());
    if (refused && !reads)
      came = {};
    around_.told.say("disk", in_words(each.what, around_.told) + (came.done ? "" : " - not done"));
    if (how != fate::crash_after)
      bridge::answer(each.what, std::move(came), each.to);
  }
}

void paper_journal::crash(unsigned survives) {
  open_ = false;
  auto kept = queue_.size() * survives / 100;
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    around_.told.say("disk", (i < kept ? "kept " : "lost ") + in_words(queue_[i].what, around_.told));
    if (i < kept)
      around_.records.perform(queue_[i].what, anchor());
  }
  queue_.clear();
}

void paper_journal::write(actors::actual_record record, actors::reply_to to) {
  ask(op::write{std::move(record)}, std::move(to));
}
void paper_journal::want(actors::wanted_record record, actors::reply_to to) {
  ask(op::want{std::move(record)}, std::move(to));
}
void paper_journal::read(const sandbox_id& sandbox, generation number, actors::reply_to to) {
  ask(op::read{sandbox, number}, std::move(to));
}
void paper_journal::unwant(const sandbox_id& sandbox, actors::reply_to to) {
  ask(op::unwant{sandbox}, std::move(to));
}
void paper_journal::load(const sandbox_id& sandbox, actors::reply_to to) {
  ask(op::load{sandbox}, std::move(to));
}
void paper_journal::list(const sandbox_id& after, std::size_t most, actors::reply_to to) {
  ask(op::list{after, most}, std::move(to));
}
void paper_journal::close(actors::closed_record record) {
  ask(op::close{std::move(record)});
}
void paper_journal::forget(const sandbox_id& sandbox) {
  ask(op::forget{sandbox});
}

} // namespace nestor::simulation
