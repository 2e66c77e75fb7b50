// What a journal store holds and does to one sandbox, for the parts of it: opening and performing (journal_store.cpp),
// whether it is the journal that it was (journal_identity.cpp), its keys (journal_rotation.cpp).
#pragma once

#include <nestor/core/time.hpp>
#include <nestor/io/internal/journal_database.hpp>
#include <nestor/io/internal/reseal_sql.hpp>
#include <nestor/io/journal_store.hpp>
#include <nestor/io/journal_witness.hpp>
#include <nestor/journal/codec.hpp>

#include <array>

namespace nestor::io {

using namespace journal;
using internal::failed;
using internal::journal_database;
using internal::journal_sql;
using internal::need;
using internal::refusal;

// Randomness of that many records is asked for at a time: the kernel's answer costs more than sealing one.
inline constexpr std::size_t nonces_at_once = 128;

time_anchor anchor();

struct journal_store::impl {
  std::unique_ptr<journal_database> database;
  std::unique_ptr<journal_sql> sql; ///< null while the connection is lost
  installation_id installation;
  key_ring ring;
  const sealing_key* current = nullptr;
  secret node_secret;
  nested::digest_key digests;
  long long starts = 0;
  std::string keys_path;
  std::string doubt;
  journal_witness witness; ///< of this life; without a life where the database keeps no file of ours
  instant witnessed;       ///< when it was written last
  bool resealing = false;
  std::string resealed_up_to; ///< a sandbox's id
  std::uint64_t resealed = 0;
  std::vector<replay_mark> replays;
  std::size_t marks = 0; ///< since old ones were dropped
  bool was_ours = true;  ///< until a lost connection could not be made again
  time_anchor now;       ///< of the batch
  std::array<std::uint8_t, nonce_bytes * nonces_at_once> nonces{};
  std::size_t nonces_left = 0;

  void begin_life(const journal_store_options& options);
  std::optional<failure> regain();
  std::optional<failure> regain_soon();
  failure why() const;
  template <class Act>
  expected<void> guarded(Act&& act);

  // -- whether it is the one that it was
  void recognise();
  void recognise_file(const std::string& path);
  void bear_witness();
  void note_commit();
  void committed() { ++witness.commits; }

  // -- keys
  void use_current_key();
  std::string resealed_body(const internal::sealed_row& row, const std::string& id, const sandbox_records& all);
  std::uint64_t reseal_one(const journal_sql::sandbox_row& row);

  // -- records
  std::string sealed(std::string_view plain, std::string_view of, std::string_view kind, std::uint64_t number);
  wiped_string opened(std::string_view body, std::string_view of, std::string_view kind, std::uint64_t number);
  void remember(replay_mark mark, const sandbox_id& made);
  sandbox_records all_of(const journal_sql::sandbox_row& row);
  listed_sandbox listed(const journal_sql::sandbox_row& row) { return {sandbox_id{row.id}, all_of(row)}; }

  // What a batch stores: sealed once, however often it is tried.
  std::string body_of(const op::write& o) {
    const auto& r = o.record;
    return sealed(encode(r, now), r.sandbox.text, "actual", r.revision);
  }
  std::string body_of(const op::want& o) {
    return sealed(encode(o.record), o.record.sandbox.text, "wanted", o.record.number);
  }
  std::string body_of(const op::close& o) { return sealed(encode(o.record), o.record.sandbox.text, "closed", 0); }
  std::string body_of(const auto&) { return {}; }

  result perform(const op::want& o, const std::string& body) {
    const auto& r = o.record;
    if (r.number == 1)
      sql->know(r.sandbox.text);
    if (r.number == 1 && r.mark)
      remember(*r.mark, r.sandbox);
    auto oldest = static_cast<long long>(r.number) - static_cast<long long>(generations_max) + 1;
    return {sql->want(r.sandbox.text, static_cast<long long>(r.number), body, oldest)};
  }
  result perform(const op::read& o, const std::string&) {
    auto body = sql->wanted_of(o.sandbox.text, static_cast<long long>(o.number));
    if (!body)
      return {true};
    return {true,
            std::make_shared<wanted_record>(need(decode_wanted(opened(*body, o.sandbox.text, "wanted", o.number))))};
  }
  result perform(const op::unwant& o, const std::string&) { return {sql->unwant(o.sandbox.text)}; }
  result perform(const op::close& o, const std::string& body) {
    sql->close(o.record.sandbox.text, o.record.ended.ms, body);
    return {true};
  }
  result perform(const op::forget& o, const std::string&) {
    sql->forget(o.sandbox.text);
    return {true};
  }
  result perform(const op::load& o, const std::string&) {
    result got{true};
    if (auto row = sql->sandbox_of(o.sandbox.text))
      got.found.push_back(listed(*row));
    return got;
  }
  result perform(const op::list& o, const std::string&) {
    result got{true};
    for (const auto& row : sql->sandboxes_after(o.after.text, static_cast<long long>(o.most)))
      got.found.push_back(listed(row));
    return got;
  }
};

/// What goes wrong as an error; nothing of it is durable then. A lost connection is made again first.
template <class Act>
expected<void> journal_store::impl::guarded(Act&& act) {
  if (!sql)
    if (auto not_ours = regain_soon())
      return *not_ours;
  try {
    now = anchor();
    act();
    return {};
  } catch (...) {
    auto reason = why();
    if (database->lost())
      sql.reset();
    return reason;
  }
}

} // namespace nestor::io
