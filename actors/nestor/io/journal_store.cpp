#include <nestor/io/journal_store.hpp>

#include <nestor/io/clock.hpp>
#include <nestor/io/entropy.hpp>
#include <nestor/io/internal/journal_sql.hpp>
#include <nestor/io/key_file.hpp>
#include <nestor/io/process_list.hpp>
#include <nestor/journal/codec.hpp>

#include <soci/sqlite3/soci-sqlite3.h>

#include <array>

namespace nestor::io {
namespace {

using namespace journal;
using internal::connection;
using internal::journal_sql;

// The predecessor's lock goes with its process; a backup that reads holds it for moments.
constexpr int lock_wait_seconds = 2;

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

  void connect();
  void begin_life(const journal_store_options& options);
  std::string sealed(std::string_view plain, std::string_view of, std::string_view kind, std::uint64_t number);
  wiped_string opened(std::string_view body, std::string_view of, std::string_view kind, std::uint64_t number);
  sandbox_records all_of(const sandbox_id& id, const journal_sql::sandbox_row& row);
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
  current = ring.find(ring.current);
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
  digests = {current->id, derived_key(*current, installation.text, "digests")};
  starts = std::stoll(internal::noted(db, "starts").value_or("0")) + 1;
  internal::note_down(db, "starts", std::to_string(starts));
  internal::note_down(db, "boot", boot_id());
  all.commit();
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
journal_store::~journal_store() = default;

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

// -- performing ---------------------------------------------------------------------------------------------------

void journal_store::impl::together(std::span<const operation> batch, std::vector<result>& into) {
  soci::transaction all{db};
  for (const auto& each : batch)
    into.push_back(std::visit(*this, each));
  all.commit();
}

void journal_store::impl::alone(const operation& one, result& into) {
  try {
    soci::transaction all{db};
    auto got = std::visit(*this, one);
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
