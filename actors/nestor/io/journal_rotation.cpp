// A journal's keys: a new one for all that is sealed from now on, what was sealed before put under it a few sandboxes
// at a time, and the old one dropped when nothing needs it.
#include <nestor/io/internal/journal_store_impl.hpp>
#include <nestor/io/key_file.hpp>
#include <nestor/journal/rekeying.hpp>

#include <algorithm>

namespace nestor::io {

void journal_store::impl::use_current_key() {
  current = ring.find(ring.current);
  digests = {current->id, derived_key(*current, installation.text, "digests")};
}

/// The note first: a ring with the new key and no note would be read and never be tidied up.
expected<void> journal_store::rotate() {
  auto& my = *impl_;
  if (my.resealing)
    return {};
  return my.guarded([&] {
    internal::note_down(my.database->db, "resealing", "yes");
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
  return sealed(encode(record, now), id, row.kind, row.number);
}

std::uint64_t journal_store::impl::reseal_one(const journal_sql::sandbox_row& row) {
  std::uint64_t done = 0;
  std::optional<sandbox_records> all;
  for (auto& each : internal::sealed_rows(row)) {
    if (each.body.starts_with(sealed_beginning(current->id)))
      continue;
    if (!all)
      all = all_of(row);
    each.body = resealed_body(each, row.id, *all);
    internal::put_back(database->db, row.id, each);
    ++done;
  }
  return done;
}

expected<void> journal_store::reseal(std::size_t most) {
  auto& my = *impl_;
  if (!my.resealing)
    return {};
  return my.guarded([&] {
    soci::transaction all{my.database->db};
    auto rows = my.sql->sandboxes_after(my.resealed_up_to, static_cast<long long>(most));
    std::uint64_t done = 0;
    for (const auto& row : rows)
      done += my.reseal_one(row);
    bool last = rows.size() < most;
    if (last) // 32 bytes that everything is derived from
      my.node_secret.expose([&](std::string_view bytes) {
        internal::note_down(my.database->db, "node_secret", my.sealed(bytes, "", "node_secret", 0));
      });
    my.note_commit();
    all.commit();
    my.committed();
    my.resealed += done;
    if (!last)
      return void(my.resealed_up_to = rows.back().id);
    key_ring only;
    only.keys.push_back(*my.current);
    only.current = my.current->id;
    if (auto kept = replace_key_ring(my.keys_path, only); !kept) // nothing needs the others any more
      throw refusal{kept.error()};
    my.ring = std::move(only);
    my.use_current_key();
    internal::note_down(my.database->db, "resealing", "no");
    my.resealing = false;
  });
}

expected<key_census> journal_store::census() {
  key_census counted{{}, impl_->ring.current, impl_->resealing, impl_->resealed};
  auto came = impl_->guarded([&] {
    for (const auto& key : impl_->ring.keys)
      counted.keys.push_back({key.id, internal::sealed_so(impl_->database->db, sealed_beginning(key.id))});
  });
  if (!came)
    return came.error();
  return counted;
}

} // namespace nestor::io
