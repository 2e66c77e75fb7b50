#include "planted_journals.hpp"

#include <nestor/actors/messages.hpp>

#include <algorithm>
#include <array>
#include <map>

namespace nestor::simulation {
namespace {

using port = actors::journal_port;
using actors::reply_to;

void tell(const reply_to& to, auto message) {
  if (auto whom = caf::actor_cast<caf::actor>(to.whom))
    actors::tell_from_outside(whom, std::move(message));
}

class forwarding : public port {
public:
  forwarding(std::shared_ptr<port> inner, disk& records) : inner_(std::move(inner)), records_(records) {}
  [[nodiscard]] const installation_id& installation() const override { return inner_->installation(); }
  [[nodiscard]] std::shared_ptr<const nested::digest_key> key() const override { return inner_->key(); }
  [[nodiscard]] const secret& node_secret() const override { return inner_->node_secret(); }
  [[nodiscard]] std::uint32_t earlier_starts() const override { return inner_->earlier_starts(); }
  void write(actors::actual_record r, reply_to to) override { inner_->write(std::move(r), std::move(to)); }
  void want(actors::wanted_record r, reply_to to) override { inner_->want(std::move(r), std::move(to)); }
  void read(const sandbox_id& s, generation g, reply_to to) override { inner_->read(s, g, std::move(to)); }
  void unwant(const sandbox_id& s, reply_to to) override { inner_->unwant(s, std::move(to)); }
  void load(const sandbox_id& s, reply_to to) override { inner_->load(s, std::move(to)); }
  void list(const sandbox_id& after, std::size_t most, reply_to to) override {
    inner_->list(after, most, std::move(to));
  }
  void close(actors::closed_record record) override { inner_->close(std::move(record)); }
  void forget(const sandbox_id& s) override { inner_->forget(s); }
  [[nodiscard]] std::size_t bytes_held() const override { return inner_->bytes_held(); }

protected:
  port& inner() { return *inner_; }
  disk& records() { return records_; }

private:
  std::shared_ptr<port> inner_;
  disk& records_;
};

template <bool writes, bool wants, bool unwants>
class early final : public forwarding {
public:
  using forwarding::forwarding;
  void write(actors::actual_record r, reply_to to) override {
    if (writes)
      tell(std::exchange(to, {}), actors::journal_done{r.revision, true});
    inner().write(std::move(r), std::move(to));
  }
  void want(actors::wanted_record r, reply_to to) override {
    if (wants)
      tell(to, actors::journal_done{std::exchange(to, {}).ticket, true});
    inner().want(std::move(r), std::move(to));
  }
  void unwant(const sandbox_id& s, reply_to to) override {
    if (auto whom = unwants ? std::exchange(to, {}) : reply_to{}; unwants)
      tell(whom, actors::journal_done{whom.ticket, true});
    inner().unwant(s, std::move(to));
  }
};

template <supervision::note what>
class lagging final : public forwarding {
public:
  using forwarding::forwarding;
  void write(actors::actual_record r, reply_to to) override {
    if (auto late = late_.extract(r.sandbox); !late.empty())
      inner().write(std::move(late.mapped()), {});
    if (r.kept.what != what)
      return inner().write(std::move(r), std::move(to));
    tell(to, actors::journal_done{r.revision, true});
    auto id = r.sandbox;
    late_.emplace(std::move(id), std::move(r));
  }

private:
  std::map<sandbox_id, actors::actual_record> late_;
};

class forgetting_ends final : public forwarding {
public:
  using forwarding::forwarding;
  void unwant(const sandbox_id&, reply_to to) override { tell(to, actors::journal_done{to.ticket, true}); }
};

class deleting_first final : public forwarding {
public:
  using forwarding::forwarding;
  void write(actors::actual_record r, reply_to to) override {
    auto id = r.sandbox;
    bool doomed = r.kept.doomed && r.kept.open;
    inner().write(std::move(r), std::move(to));
    if (doomed)
      inner().forget(id);
  }
};

class reading_older final : public forwarding {
public:
  using forwarding::forwarding;
  void read(const sandbox_id& s, generation g, reply_to to) override {
    auto came = records().perform(journal::op::read{s, g > 1 ? g - 1 : g}, {});
    auto wanted = came.wanted ? std::make_shared<actors::wanted_record>(*came.wanted) : nullptr;
    if (wanted)
      wanted->number = g;
    tell(to, actors::wanted_loaded{to.ticket, std::move(wanted)});
  }
};

class elsewhere final : public forwarding {
public:
  elsewhere(std::shared_ptr<port> inner, disk& records) : forwarding(std::move(inner), records) {
    std::array<std::uint8_t, id_entropy_bytes> id{};
    id.fill(static_cast<std::uint8_t>(records.starts));
    id_ = make_installation_id(id);
  }
  [[nodiscard]] const installation_id& installation() const override { return id_; }

private:
  installation_id id_;
};

class of_another_secret final : public forwarding {
public:
  of_another_secret(std::shared_ptr<port> inner, disk& records)
      : forwarding(std::move(inner), records), secret_(std::string(32, static_cast<char>('a' + records.starts % 26))) {}
  [[nodiscard]] const secret& node_secret() const override { return secret_; }

private:
  secret secret_;
};

template <void (*spoil)(std::vector<journal::listed_sandbox>&)>
class listing_wrong final : public forwarding {
public:
  using forwarding::forwarding;
  void list(const sandbox_id& after, std::size_t most, reply_to to) override {
    auto came = records().perform(journal::op::list{after, most}, {});
    spoil(came.found);
    tell(to, actors::records_listed{to.ticket, std::move(came.found), std::nullopt});
  }
};

void no_ends(std::vector<journal::listed_sandbox>& found) {
  for (auto& [id, records] : found)
    records.unwanted = false;
}
void all_but_one(std::vector<journal::listed_sandbox>& found) {
  if (!found.empty())
    found.pop_back();
}
void no_intents(std::vector<journal::listed_sandbox>& found) {
  for (auto& [id, records] : found)
    if (records.actual && records.actual->kept.create_out)
      records.actual = nullptr;
}

template <class Journal>
std::shared_ptr<port> make(std::shared_ptr<port> inner, disk& records) {
  return std::make_shared<Journal>(std::move(inner), records);
}

} // namespace

template <bool writes, bool wants, bool unwants>
std::shared_ptr<port> answers_early(std::shared_ptr<port> inner, disk& records) {
  return make<early<writes, wants, unwants>>(std::move(inner), records);
}
template std::shared_ptr<port> answers_early<true, false, false>(std::shared_ptr<port>, disk&);
template std::shared_ptr<port> answers_early<false, true, false>(std::shared_ptr<port>, disk&);
template std::shared_ptr<port> answers_early<false, false, true>(std::shared_ptr<port>, disk&);

template <supervision::note what>
std::shared_ptr<port> lags_behind(std::shared_ptr<port> inner, disk& records) {
  return make<lagging<what>>(std::move(inner), records);
}
template std::shared_ptr<port> lags_behind<supervision::note::intent>(std::shared_ptr<port>, disk&);
template std::shared_ptr<port> lags_behind<supervision::note::confirmed>(std::shared_ptr<port>, disk&);
template std::shared_ptr<port> lags_behind<supervision::note::pausing>(std::shared_ptr<port>, disk&);
template std::shared_ptr<port> lags_behind<supervision::note::closed>(std::shared_ptr<port>, disk&);

std::shared_ptr<port> forgets_the_end(std::shared_ptr<port> inner, disk& records) {
  return make<forgetting_ends>(std::move(inner), records);
}
std::shared_ptr<port> deletes_first(std::shared_ptr<port> inner, disk& records) {
  return make<deleting_first>(std::move(inner), records);
}
std::shared_ptr<port> reads_older(std::shared_ptr<port> inner, disk& records) {
  return make<reading_older>(std::move(inner), records);
}
std::shared_ptr<port> another_installation(std::shared_ptr<port> inner, disk& records) {
  return make<elsewhere>(std::move(inner), records);
}
std::shared_ptr<port> another_secret(std::shared_ptr<port> inner, disk& records) {
  return make<of_another_secret>(std::move(inner), records);
}
std::shared_ptr<port> lists_no_ends(std::shared_ptr<port> inner, disk& records) {
  return make<listing_wrong<no_ends>>(std::move(inner), records);
}
std::shared_ptr<port> lists_all_but_one(std::shared_ptr<port> inner, disk& records) {
  return make<listing_wrong<all_but_one>>(std::move(inner), records);
}
std::shared_ptr<port> lists_no_intents(std::shared_ptr<port> inner, disk& records) {
  return make<listing_wrong<no_intents>>(std::move(inner), records);
}

} // namespace nestor::simulation
