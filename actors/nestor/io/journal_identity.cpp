// Whether a journal is the one that it was, or an older state of it, or a copy: docs/decisions/0008.
#include <nestor/io/clock.hpp>
#include <nestor/io/entropy.hpp>
#include <nestor/io/internal/journal_store_impl.hpp>

namespace nestor::io {
namespace {

std::string witness_beside(const std::string& path) {
  return path + ".witness";
}

} // namespace

/// Within the transaction that begins a life. What was doubted stays so until somebody confirms it.
void journal_store::impl::recognise() {
  auto& db = database->db;
  doubt = internal::noted(db, "doubt").value_or("");
  if (auto path = database->file(); !path.empty())
    return recognise_file(path);
  auto is = database->lineage();
  if (is.empty())
    return;
  if (auto was = internal::noted(db, "lineage"); was && *was != is)
    internal::note_down(db, "doubt", doubt = "its server is another one, or was taken back to an earlier time");
  internal::note_down(db, "lineage", is);
}

void journal_store::impl::recognise_file(const std::string& path) {
  auto& db = database->db;
  std::array<std::uint8_t, id_entropy_bytes> bytes{};
  fill_random(bytes);
  auto life = make_installation_id(bytes).text;
  auto known = internal::noted(db, "life");
  auto seen = read_witness(witness_beside(path));
  witness = {life, 0, inode_of(path), machine_id()};
  if (known) {
    witness.commits = std::stoull(internal::noted(db, "commits").value_or("0"));
    auto before = internal::noted(db, "life_before").value_or("");
    auto why = doubt_of({*known, before, witness.commits, witness.file, witness.machine}, seen);
    if (!why.empty())
      internal::note_down(db, "doubt", doubt = why);
  }
  internal::note_down(db, "life", life);
  internal::note_down(db, "life_before", seen ? seen->life : life);
  internal::note_down(db, "commits", std::to_string(witness.commits));
}

/// It may fail: then a later one says more, and an older one is still true.
void journal_store::impl::bear_witness() {
  witnessed = steady_now();
  if (!witness.life.empty())
    write_witness(witness_beside(database->file()), witness);
}

/// Within the transaction that it counts; the witness hears of it once it is committed.
void journal_store::impl::note_commit() {
  if (witness.life.empty())
    return;
  auto number = std::to_string(witness.commits + 1);
  database->db << "update journal set value = :number where name = 'commits'", soci::use(number, "number");
}

const std::string& journal_store::doubt() const {
  return impl_->doubt;
}

expected<void> journal_store::confirm() {
  return impl_->guarded([&] {
    soci::transaction all{impl_->database->db};
    impl_->database->db << "delete from journal where name = 'doubt'";
    all.commit();
    impl_->doubt.clear();
  });
}

} // namespace nestor::io
