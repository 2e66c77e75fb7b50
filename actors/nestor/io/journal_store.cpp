#include <nestor/io/journal_store.hpp>

#include <nestor/io/clock.hpp>
#include <nestor/io/entropy.hpp>
#include <nestor/io/internal/journal_sql.hpp>
#include <nestor/io/internal/replay_sql.hpp>
#include <nestor/io/internal/reseal_sql.hpp>
#include <nestor/io/journal_witness.hpp>
#include <nestor/io/key_file.hpp>
#include <nestor/io/process_list.hpp>
#include <nestor/journal/codec.hpp>
#include <nestor/journal/rekeying.hpp>

#include <soci/sqlite3/soci-sqlite3.h>

#include <algorithm>
#include <array>

namespace nestor::io {
namespace {

using namespace journal;
using internal::connection;
using internal::journal_sql;

// The predecessor's lock goes with its process; a backup that reads holds it for moments.
constexpr int lock_wait_seconds = 2;

// Old idempotency keys are dropped once in so many new ones.
constexpr std::size_t marks_between_sweeps = 1'000;

// What an older state of the journal may be behind without being recognised; a witness costs two waits for the disk.
constexpr std::chrono::seconds witness_every{1};

// SQLite's own numbers; the rest of a code is detail.
enum class sqlite : int {
  busy = 5,
  locked = 6,
  read_only = 8,
  io = 10,
  corrupt = 11,
  full = 13,
  cannot_open = 14,
  no_database = 26
};

failure failed(errc code, std::string cause) {
  return failure{code, step::queue, std::move(cause), 0, {}};
}

failure why_of(const soci::soci_error& e, const std::string& path) {
  const auto* ours = dynamic_cast<const soci::sqlite3_soci_error*>(&e);
  auto what = ours ? static_cast<sqlite>(ours->result() & 0xff) : sqlite{};
  std::string text = e.what();
  auto says = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  if (what == sqlite::busy || what == sqlite::locked || says("database is locked"))
    return failed(errc::journal_locked, path + " is in use by another process");
  if (what == sqlite::corrupt || what == sqlite::no_database || says("malformed") || says("not a database"))
    return failed(errc::journal_corrupt, path + " is no intact database");
  if (what == sqlite::full || says("disk is full"))
    return failed(errc::journal_unavailable, path + ": no room is left on its disk");
  if (what == sqlite::read_only || says("readonly"))
    return failed(errc::journal_unavailable,
                  path + " cannot be written: it, its folder or its file system is read-only");
  if (what == sqlite::cannot_open || says("unable to open"))
    return failed(errc::journal_unavailable,
                  path + " cannot be opened or made: is its folder there, and ours to write?");
  return failed(errc::journal_unavailable, path + ": " + text); // names tables and columns; values are never in it
}

struct refusal {
  failure why;
};

template <class T>
T need(expected<T> got) {
  if (!got)
    throw refusal{got.error()};
  return std::move(*got);
}

wall_time oldest_replay() {
  return {wall_now().ms - std::chrono::milliseconds{replay_kept_for}.count()};
}

bool writes(const operation& one) {
  return !std::holds_alternative<op::read>(one) && !std::holds_alternative<op::load>(one) &&
         !std::holds_alternative<op::list>(one);
}

time_anchor anchor() {
  return {steady_now(), wall_now(), boot_id()};
}

} // namespace

struct journal_store::impl {
  std::string path;
  connection db;
  std::unique_ptr<journal_sql> sql;
  installation_id installation;
  key_ring ring;
  const sealing_key* current = nullptr;
  secret node_secret;
  nested::digest_key digests;
  long long starts = 0;
  std::string keys_path;
  journal_witness witness; ///< of this life
  instant witnessed;       ///< when it was written last
  std::string doubt;
  bool resealing = false;
  std::string resealed_up_to; ///< a sandbox's id
  std::uint64_t resealed = 0;
  std::vector<replay_mark> replays;
  std::size_t marks = 0; ///< since old ones were dropped

  [[nodiscard]] std::string witness_path() const { return path + ".witness"; }
  /// What goes wrong as an error; nothing of it is durable then.
  template <class Act>
  expected<void> attempt(Act&& act) {
    try {
      act();
      return {};
    } catch (const refusal& r) { return r.why; } catch (const soci::soci_error& e) {
      return why_of(e, path);
    } catch (const std::exception& e) { return failed(errc::journal_unavailable, e.what()); }
  }
  void connect();
  void begin_life(const journal_store_options& options);
  std::string sealed(std::string_view plain, std::string_view of, std::string_view kind, std::uint64_t number);
  wiped_string opened(std::string_view body, std::string_view of, std::string_view kind, std::uint64_t number);
  void remember(replay_mark mark, const sandbox_id& made);
  sandbox_records all_of(const sandbox_id& id, const journal_sql::sandbox_row& row);
  void recognise();
  void bear_witness();
  void note_commit(bool writes);
  std::string resealed_body(const internal::sealed_row& row, const std::string& id, const sandbox_records& all);
  std::uint64_t reseal_one(const std::string& id);
  void use_current_key();
  void together(std::span<const operation> batch, std::vector<result>& into);
  void alone(const operation& one, result& into);

  result operator()(const op::write& o) {
    const auto& r = o.record;
    auto body = sealed(encode(r, anchor()), r.sandbox.text, "actual", r.revision);
    return {sql->write(r.sandbox.text, starts, static_cast<long long>(r.revision), std::move(body))};
  }
  result operator()(const op::want& o) {
    const auto& r = o.record;
    if (r.number == 1)
      sql->know(r.sandbox.text);
    if (r.number == 1 && r.mark)
      remember(*r.mark, r.sandbox);
    auto oldest = static_cast<long long>(r.number) - static_cast<long long>(generations_max) + 1;
    auto body = sealed(encode(r), r.sandbox.text, "wanted", r.number);
    return {sql->want(r.sandbox.text, static_cast<long long>(r.number), std::move(body), oldest)};
  }
  result operator()(const op::read& o) {
    auto body = sql->wanted_of(o.sandbox.text, static_cast<long long>(o.number));
    if (!body)
      return {true};
    return {true,
            std::make_shared<wanted_record>(need(decode_wanted(opened(*body, o.sandbox.text, "wanted", o.number))))};
  }
  result operator()(const op::unwant& o) { return {sql->unwant(o.sandbox.text)}; }
  result operator()(const op::close& o) {
    sql->close(o.record.sandbox.text, o.record.ended.ms, sealed(encode(o.record), o.record.sandbox.text, "closed", 0));
    return {true};
  }
  result operator()(const op::forget& o) {
    sql->forget(o.sandbox.text);
    return {true};
  }
  result operator()(const op::load& o) {
    result got{true};
    if (auto row = sql->sandbox_of(o.sandbox.text))
      got.found.emplace_back(o.sandbox, all_of(o.sandbox, *row));
    return got;
  }
  result operator()(const op::list& o) {
    result got{true};
    for (auto& id : sql->ids_after(o.after.text, static_cast<long long>(o.most)))
      if (auto row = sql->sandbox_of(id))
        got.found.emplace_back(sandbox_id{id}, all_of({id}, *row));
    return got;
  }
};

// -- opening ------------------------------------------------------------------------------------------------------

void journal_store::impl::connect() {
  db.open(*soci::factory_sqlite3(), "db=\"" + path + "\" timeout=" + std::to_string(lock_wait_seconds));
  std::string mode;
  db << "pragma locking_mode=exclusive", soci::into(mode); // before anything is read: no shared memory file then
  db << "pragma journal_mode=wal", soci::into(mode);
  if (mode != "wal")
    throw refusal{failed(errc::journal_unavailable, path + ": its file system cannot carry a write-ahead log")};
  db << "pragma synchronous=full";
}

void journal_store::impl::begin_life(const journal_store_options& options) {
  soci::transaction all{db};
  auto was = internal::migrate(db);
  if (was > internal::schema_version)
    throw refusal{failed(errc::journal_newer, path + " has schema version " + std::to_string(was) +
                                                "; this build knows up to " +
                                                std::to_string(internal::schema_version))};
  auto known = internal::noted(db, "installation");
  if (known) {
    installation.text = *known;
    ring = need(load_key_ring(options.keys));
  } else {
    std::array<std::uint8_t, id_entropy_bytes> bytes{};
    fill_random(bytes);
    installation = make_installation_id(bytes);
    auto there = load_key_ring(options.keys); // an operator's own, or one that a first start left before it died
    ring = there ? std::move(*there) : need(make_key_ring(options.keys));
    internal::note_down(db, "installation", installation.text);
  }
  keys_path = options.keys;
  current = ring.find(ring.current);
  resealing = ring.keys.size() > 1 && internal::noted(db, "resealing") == "yes";
  recognise();
  if (auto body = internal::noted(db, "node_secret")) {
    auto bytes = unseal(*body, {installation.text, "", "node_secret", 0}, ring);
    if (!bytes) // whatever it is: the key is not the one, or what it sealed was tampered with
      throw refusal{
        failed(errc::keys_refused, options.keys + " is not the key ring of " + path + ": " + bytes.error().cause)};
    node_secret = secret::copy_of(*bytes);
  } else {
    node_secret = make_sealing_key(1).bytes;
    node_secret.expose(
      [&](std::string_view bytes) { internal::note_down(db, "node_secret", sealed(bytes, "", "node_secret", 0)); });
  }
  use_current_key();
  starts = std::stoll(internal::noted(db, "starts").value_or("0")) + 1;
  internal::note_down(db, "starts", std::to_string(starts));
  internal::note_down(db, "boot", boot_id());
  replays = internal::replays_since(db, oldest_replay());
  all.commit();
  bear_witness();
  sql = std::make_unique<journal_sql>(db);
}

expected<std::unique_ptr<journal_store>> journal_store::open(const journal_store_options& options) {
  auto made = std::make_unique<impl>();
  made->path = options.path;
  try {
    if (options.path.empty() || options.path.find('"') != std::string::npos)
      return failed(errc::journal_unavailable, "the journal's path is empty or holds a quotation mark");
    made->connect();
    made->begin_life(options);
  } catch (const refusal& r) { return r.why; } catch (const soci::soci_error& e) {
    return why_of(e, options.path);
  } catch (const std::exception& e) { return failed(errc::journal_corrupt, options.path + ": " + e.what()); }
  return std::unique_ptr<journal_store>{new journal_store{std::move(made)}};
}

journal_store::journal_store(std::unique_ptr<impl> made) : impl_(std::move(made)) {}
journal_store::~journal_store() {
  if (impl_)
    impl_->bear_witness();
}

const installation_id& journal_store::installation() const {
  return impl_->installation;
}
std::uint64_t journal_store::starts() const {
  return static_cast<std::uint64_t>(impl_->starts);
}
const nested::digest_key& journal_store::digests() const {
  return impl_->digests;
}
const secret& journal_store::node_secret() const {
  return impl_->node_secret;
}

const std::vector<replay_mark>& journal_store::replays() const {
  return impl_->replays;
}

// -- records ------------------------------------------------------------------------------------------------------

std::string journal_store::impl::sealed(std::string_view plain, std::string_view of, std::string_view kind,
                                        std::uint64_t number) {
  std::array<std::uint8_t, nonce_bytes> nonce{};
  fill_random(nonce);
  return seal(plain, {installation.text, of, kind, number}, *current, nonce);
}

wiped_string journal_store::impl::opened(std::string_view body, std::string_view of, std::string_view kind,
                                         std::uint64_t number) {
  return need(unseal(body, {installation.text, of, kind, number}, ring));
}

void journal_store::impl::remember(replay_mark mark, const sandbox_id& made) {
  mark.sandbox = made;
  internal::remember_replay(db, mark);
  if (++marks % marks_between_sweeps == 0)
    internal::forget_replays_before(db, oldest_replay());
}

sandbox_records journal_store::impl::all_of(const sandbox_id& id, const journal_sql::sandbox_row& row) {
  sandbox_records all;
  all.unwanted = row.unwanted;
  if (row.closed) {
    auto record = need(decode_closed(opened(*row.closed, id.text, "closed", 0)));
    all.closed = std::make_shared<closed_record>(std::move(record));
    return all;
  }
  if (auto actual = sql->actual_of(id.text)) {
    auto plain = opened(actual->body, id.text, "actual", static_cast<std::uint64_t>(actual->number));
    all.actual = std::make_shared<actual_record>(need(decode_actual(plain, anchor())));
  }
  for (const auto& each : sql->all_wanted_of(id.text)) {
    auto plain = opened(each.body, id.text, "wanted", static_cast<std::uint64_t>(each.number));
    all.wanted.push_back(std::make_shared<wanted_record>(need(decode_wanted(plain))));
  }
  return all;
}

// -- is it the one that it was? -----------------------------------------------------------------------------------

/// Within the transaction that begins a life. What was doubted stays so until somebody confirms it.
void journal_store::impl::recognise() {
  std::array<std::uint8_t, id_entropy_bytes> bytes{};
  fill_random(bytes);
  auto life = make_installation_id(bytes).text;
  auto known = internal::noted(db, "life");
  auto seen = read_witness(witness_path());
  witness = {life, 0, inode_of(path), machine_id()};
  if (known) {
    witness.commits = std::stoull(internal::noted(db, "commits").value_or("0"));
    doubt = internal::noted(db, "doubt").value_or("");
    auto before = internal::noted(db, "life_before").value_or("");
    auto now = doubt_of({*known, before, witness.commits, witness.file, witness.machine}, seen);
    if (!now.empty())
      internal::note_down(db, "doubt", doubt = now);
  }
  internal::note_down(db, "life", life);
  internal::note_down(db, "life_before", seen ? seen->life : life);
  internal::note_down(db, "commits", std::to_string(witness.commits));
}

/// It may fail: then a later one says more, and an older one is still true.
void journal_store::impl::bear_witness() {
  witnessed = anchor().now;
  if (!witness.life.empty())
    write_witness(witness_path(), witness);
}

void journal_store::impl::note_commit(bool writes) {
  if (!writes)
    return;
  auto number = std::to_string(++witness.commits);
  db << "update journal set value = :number where name = 'commits'", soci::use(number, "number");
}

const std::string& journal_store::doubt() const {
  return impl_->doubt;
}

expected<void> journal_store::confirm() {
  return impl_->attempt([&] {
    soci::transaction all{impl_->db};
    impl_->db << "delete from journal where name = 'doubt'";
    all.commit();
    impl_->doubt.clear();
  });
}

// -- keys ---------------------------------------------------------------------------------------------------------

void journal_store::impl::use_current_key() {
  current = ring.find(ring.current);
  digests = {current->id, derived_key(*current, installation.text, "digests")};
}

/// The note first: a ring with the new key and no note would be read and never be tidied up.
expected<void> journal_store::rotate() {
  auto& my = *impl_;
  if (my.resealing)
    return {};
  return my.attempt([&] {
    internal::note_down(my.db, "resealing", "yes");
    auto next = my.ring;
    next.current = std::ranges::max(next.keys, {}, &sealing_key::id).id + 1;
    next.keys.push_back(make_sealing_key(next.current));
    if (auto kept = replace_key_ring(my.keys_path, next); !kept)
      throw refusal{kept.error()};
    my.ring = std::move(next);
    my.use_current_key();
    my.resealing = true;
    my.resealed_up_to.clear();
    my.resealed = 0;
  });
}

bool journal_store::resealing() const {
  return impl_->resealing;
}

/// What an `actual` record says that the runtime holds is said under the new digest key, where it is known of what.
std::string journal_store::impl::resealed_body(const internal::sealed_row& row, const std::string& id,
                                               const sandbox_records& all) {
  if (row.kind != "actual" || !all.actual || !all.actual->holds)
    return sealed(opened(row.body, id, row.kind, row.number), id, row.kind, row.number);
  auto record = *all.actual;
  auto holds = *record.holds;
  for (const auto& each : all.wanted)
    for (const auto& key : ring.keys) {
      auto before = delivery_of(*each->spec->configuration,
                                nested::digest_key{key.id, derived_key(key, installation.text, "digests")});
      renew(holds, before, delivery_of(*each->spec->configuration, digests));
    }
  record.holds = std::make_shared<const nested::delivery>(std::move(holds));
  return sealed(encode(record, anchor()), id, row.kind, row.number);
}

std::uint64_t journal_store::impl::reseal_one(const std::string& id) {
  auto row = sql->sandbox_of(id);
  if (!row)
    return 0;
  std::uint64_t done = 0;
  auto rows = internal::sealed_rows(db, id);
  std::optional<sandbox_records> all;
  for (auto& each : rows) {
    if (each.body.starts_with(sealed_beginning(current->id)))
      continue;
    if (!all)
      all = all_of({id}, *row);
    each.body = resealed_body(each, id, *all);
    internal::put_back(db, id, each);
    ++done;
  }
  return done;
}

expected<void> journal_store::reseal(std::size_t most) {
  auto& my = *impl_;
  if (!my.resealing)
    return {};
  return my.attempt([&] {
    soci::transaction all{my.db};
    auto ids = my.sql->ids_after(my.resealed_up_to, static_cast<long long>(most));
    std::uint64_t done = 0;
    for (const auto& id : ids)
      done += my.reseal_one(id);
    bool last = ids.size() < most;
    if (last) // 32 bytes that everything is derived from
      my.node_secret.expose([&](std::string_view bytes) {
        internal::note_down(my.db, "node_secret", my.sealed(bytes, "", "node_secret", 0));
      });
    my.note_commit(true);
    all.commit();
    my.resealed += done;
    if (!last)
      return void(my.resealed_up_to = ids.back());
    key_ring only;
    only.keys.push_back(*my.current);
    only.current = my.current->id;
    if (auto kept = replace_key_ring(my.keys_path, only); !kept) // nothing needs the others any more
      throw refusal{kept.error()};
    my.ring = std::move(only);
    my.use_current_key();
    internal::note_down(my.db, "resealing", "no");
    my.resealing = false;
  });
}

expected<key_census> journal_store::census() {
  key_census counted{{}, impl_->ring.current, impl_->resealing, impl_->resealed};
  auto came = impl_->attempt([&] {
    for (const auto& key : impl_->ring.keys)
      counted.keys.push_back({key.id, internal::sealed_so(impl_->db, sealed_beginning(key.id))});
  });
  if (!came)
    return came.error();
  return counted;
}

// -- performing ---------------------------------------------------------------------------------------------------

void journal_store::impl::together(std::span<const operation> batch, std::vector<result>& into) {
  soci::transaction all{db};
  for (const auto& each : batch)
    into.push_back(std::visit(*this, each));
  note_commit(std::ranges::any_of(batch, writes));
  all.commit();
  if (anchor().now - witnessed >= witness_every)
    bear_witness();
}

void journal_store::impl::alone(const operation& one, result& into) {
  try {
    soci::transaction all{db};
    auto got = std::visit(*this, one);
    note_commit(writes(one));
    all.commit();
    into = std::move(got);
  } catch (const refusal& r) { into.why = r.why; } catch (const soci::soci_error& e) {
    into.why = why_of(e, path);
  } catch (const std::exception& e) { into.why = failed(errc::journal_unavailable, e.what()); }
}

std::vector<result> journal_store::perform(std::span<const operation> batch) {
  std::vector<result> results;
  results.reserve(batch.size());
  try {
    impl_->together(batch, results);
    return results;
  } catch (...) { // nothing of it is durable
    results.assign(batch.size(), {});
  }
  for (std::size_t i = 0; i < batch.size(); ++i)
    impl_->alone(batch[i], results[i]);
  return results;
}

} // namespace nestor::io
