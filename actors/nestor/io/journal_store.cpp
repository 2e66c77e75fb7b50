#include <nestor/io/journal_store.hpp>

#include <nestor/io/clock.hpp>
#include <nestor/io/entropy.hpp>
#include <nestor/io/internal/journal_store_impl.hpp>
#include <nestor/io/internal/replay_sql.hpp>
#include <nestor/io/key_file.hpp>
#include <nestor/io/process_list.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <unordered_set>

namespace nestor::io {
namespace {

// What an older state of the journal may be behind without being recognised; a witness costs two waits for the disk.
constexpr std::chrono::seconds witness_every{1};
// A server that is restarted is back by then; callers wait that long for their answer, once.
constexpr std::chrono::seconds regain_within{5};
constexpr std::chrono::milliseconds regain_every{100};

// Old idempotency keys are dropped once in so many new ones.
constexpr std::size_t marks_between_sweeps = 1'000;

wall_time oldest_replay() {
  return {wall_now().ms - std::chrono::milliseconds{replay_kept_for}.count()};
}

bool writes(const operation& one) {
  return !std::holds_alternative<op::read>(one) && !std::holds_alternative<op::load>(one) &&
         !std::holds_alternative<op::list>(one);
}

} // namespace

time_anchor anchor() {
  return {steady_now(), wall_now(), boot_id()};
}

// -- opening ------------------------------------------------------------------------------------------------------

void journal_store::impl::begin_life(const journal_store_options& options) {
  auto& db = database->db;
  soci::transaction all{db};
  auto was = internal::migrate(db, database->dialect());
  if (was > internal::schema_version)
    throw refusal{failed(errc::journal_newer, database->name() + " has schema version " + std::to_string(was) +
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
      throw refusal{failed(errc::keys_refused,
                           options.keys + " is not the key ring of " + database->name() + ": " + bytes.error().cause)};
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
  sql = std::make_unique<journal_sql>(db, database->dialect());
}

/// What the exception means that is being handled.
failure journal_store::impl::why() const {
  try {
    throw;
  } catch (const refusal& r) { return r.why; } catch (const soci::soci_error& e) {
    return database->why_of(e);
  } catch (const std::exception& e) { return failed(errc::journal_unavailable, e.what()); }
}

/// Connects to it again. That the lock is ours proves that our earlier connection has ended, and its transaction with
/// it; that nobody has opened it in between, that everything in it is as we left it.
std::optional<failure> journal_store::impl::regain() {
  try {
    sql.reset();
    database->connect();
    if (internal::noted(database->db, "starts") != std::to_string(starts))
      throw refusal{failed(errc::journal_locked, database->name() + " was opened by another node meanwhile")};
    sql = std::make_unique<journal_sql>(database->db, database->dialect());
    was_ours = true;
    return std::nullopt;
  } catch (...) {
    auto not_ours = why();
    if (database->db.get_backend() != nullptr)
      database->db.close(); // and the lock with it: it is another node's to take
    return not_ours;
  }
}

std::optional<failure> journal_store::impl::regain_soon() {
  auto until = steady_now() + regain_within;
  for (;;) {
    auto not_ours = regain();
    if (!not_ours || !std::exchange(was_ours, was_ours && steady_now() < until))
      return not_ours;
    std::this_thread::sleep_for(regain_every); // a server's return is no event; this thread is the journal's alone
  }
}

expected<std::unique_ptr<journal_store>> journal_store::open(const journal_store_options& options) {
  auto made = std::make_unique<impl>();
  try {
    made->database = internal::journal_database_at(options.path);
    made->database->connect();
    made->begin_life(options);
  } catch (const refusal& r) { return r.why; } catch (const soci::soci_error& e) {
    return made->database->why_of(e);
  } catch (const std::exception& e) {
    return failed(errc::journal_corrupt, (made->database ? made->database->name() : "the journal") + ": " + e.what());
  }
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
  if (nonces_left == 0) {
    fill_random(nonces);
    nonces_left = nonces_at_once;
  }
  auto nonce = std::span{nonces}.subspan(--nonces_left * nonce_bytes, nonce_bytes);
  return seal(plain, {installation.text, of, kind, number}, *current, nonce);
}

wiped_string journal_store::impl::opened(std::string_view body, std::string_view of, std::string_view kind,
                                         std::uint64_t number) {
  return need(unseal(body, {installation.text, of, kind, number}, ring));
}

/// Which sandbox an idempotency key has made.
void journal_store::impl::remember(replay_mark mark, const sandbox_id& made) {
  mark.sandbox = made;
  internal::remember_replay(database->db, mark);
  if (++marks % marks_between_sweeps == 0)
    internal::forget_replays_before(database->db, oldest_replay());
}

sandbox_records journal_store::impl::all_of(const journal_sql::sandbox_row& row) {
  auto plain_of = [&](const journal_sql::numbered& kept, std::string_view kind) {
    return opened(kept.body, row.id, kind, static_cast<std::uint64_t>(kept.number));
  };
  sandbox_records all;
  all.unwanted = row.unwanted;
  if (row.closed) {
    all.closed = std::make_shared<closed_record>(need(decode_closed(plain_of({0, *row.closed}, "closed"))));
    return all;
  }
  if (row.actual)
    all.actual = std::make_shared<actual_record>(need(decode_actual(plain_of(*row.actual, "actual"), now)));
  for (const auto& each : row.wanted)
    all.wanted.push_back(std::make_shared<wanted_record>(need(decode_wanted(plain_of(each, "wanted")))));
  return all;
}

// -- performing ---------------------------------------------------------------------------------------------------

namespace {

/// Whom it is about; empty: about more than one.
std::string_view sandbox_of(const operation& what) {
  return std::visit(
    [](const auto& o) -> std::string_view {
      if constexpr (requires { o.record; })
        return o.record.sandbox.text;
      else if constexpr (requires { o.sandbox; })
        return o.sandbox.text;
      else
        return {};
    },
    what);
}

} // namespace

/// One transaction under way. Writes of `actual` records are gathered and stored together; what is asked of other
/// sandboxes meanwhile does not meet them.
class journal_store::attempt {
public:
  attempt(impl& of, bool again) : of_(of), again_(again), all_(of.database->db) {}

  void perform(const operation& what, const std::string& body, result& into) {
    writes_ = writes_ || writes(what);
    auto id = sandbox_of(what);
    if (id.empty() || touched_.contains(id))
      write();
    if (const auto* o = std::get_if<op::write>(&what)) {
      touched_.insert(id);
      rows_.push_back({id, static_cast<long long>(o->record.revision), body, false});
      into_.push_back(&into);
    } else {
      into = std::visit(
        [&](const auto& other) {
          if constexpr (requires { of_.perform(other, body); })
            return of_.perform(other, body);
          else
            return result{};
        },
        what);
    }
  }
  void commit() {
    write();
    if (writes_)
      of_.note_commit();
    all_.commit();
    if (writes_)
      of_.committed();
  }

private:
  void write() {
    if (rows_.empty())
      return;
    of_.sql->write(of_.starts, rows_);
    for (std::size_t i = 0; i < rows_.size(); ++i)
      into_[i]->done = rows_[i].stored || (again_ && is_there(rows_[i]));
    rows_.clear(), into_.clear(), touched_.clear();
  }
  /// An earlier attempt stored it, and only its answer was lost: no two sealed texts are alike.
  bool is_there(const journal_sql::written& row) {
    auto found = of_.sql->actual_of(std::string{row.id});
    return found && *found == row.body;
  }

  impl& of_;
  bool again_;
  bool writes_ = false;
  soci::transaction all_;
  std::vector<journal_sql::written> rows_;
  std::vector<result*> into_;
  std::unordered_set<std::string_view> touched_;
};

std::optional<failure> journal_store::tried(std::span<const operation> batch, std::span<const std::string> bodies,
                                            std::span<result> into, bool again) {
  try {
    attempt all{*impl_, again};
    for (std::size_t i = 0; i < batch.size(); ++i)
      all.perform(batch[i], bodies[i], into[i]);
    all.commit();
    if (impl_->now.now - impl_->witnessed >= witness_every)
      impl_->bear_witness();
    return std::nullopt;
  } catch (...) {
    std::ranges::fill(into, result{}); // nothing of it is known to be durable
    return impl_->why();
  }
}

std::vector<result> journal_store::perform(std::span<const operation> batch) {
  std::vector<result> results(batch.size());
  auto all_for = [&](const failure& why) {
    for (auto& each : results)
      each.why = why;
  };
  std::vector<std::string> bodies;
  bodies.reserve(batch.size());
  impl_->now = anchor();
  for (const auto& each : batch)
    bodies.push_back(std::visit([this](const auto& o) { return impl_->body_of(o); }, each));
  if (!impl_->sql)
    if (auto not_ours = impl_->regain_soon())
      return all_for(*not_ours), results;
  auto why = tried(batch, bodies, results, false);
  bool again = why && impl_->database->lost();
  if (again) {
    if (auto not_ours = impl_->regain_soon())
      return all_for(*not_ours), results;
    why = tried(batch, bodies, results, true);
  }
  if (!why)
    return results;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!impl_->database->lost())
      why = tried(batch.subspan(i, 1), std::span{bodies}.subspan(i, 1), std::span{results}.subspan(i, 1), again);
    if (why)
      results[i].why = why;
  }
  if (impl_->database->lost())
    impl_->sql.reset();
  return results;
}

} // namespace nestor::io
