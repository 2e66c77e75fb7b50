// The journal's database: SQLite in a file (WAL, synchronous=FULL) or PostgreSQL, exclusively ours, through SOCI with
// the same statements. What is stored of a sandbox is sealed; the database sees ids, numbers and times. Blocking, used
// by one thread at a time. docs/decisions/0007 says why.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/journal/operations.hpp>
#include <nestor/journal/sealing.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nestor::io {

struct journal_store_options {
  std::string path; ///< of the database's file, whose folder must be there; or an address, `postgresql://…`
  std::string keys; ///< of the key ring's file; made with a new journal, never beside an existing one
};

class journal_store {
public:
  /// Opens it, makes it when absent, brings its schema up to date, counts this start. Errors: `journal_locked`,
  /// `journal_newer`, `journal_corrupt`, `journal_unavailable` (read-only, disk full, no such folder, no such server),
  /// `keys_refused`. With an error nothing was changed.
  static expected<std::unique_ptr<journal_store>> open(const journal_store_options& options);
  ~journal_store();
  journal_store(const journal_store&) = delete;
  journal_store& operator=(const journal_store&) = delete;

  [[nodiscard]] const installation_id& installation() const;
  /// How often it was opened, this time included.
  [[nodiscard]] std::uint64_t starts() const;
  /// Of digests; changes when keys are rotated.
  [[nodiscard]] const nested::digest_key& digests() const;
  /// 32 bytes that are the same for as long as the installation is.
  [[nodiscard]] const secret& node_secret() const;

  /// Idempotency keys that were good when it was opened.
  [[nodiscard]] const std::vector<journal::replay_mark>& replays() const;

  /// Why it may be an older state of itself, or a copy; empty when nothing speaks for that, or it was confirmed.
  [[nodiscard]] const std::string& doubt() const;
  /// Takes the doubt away, durably. Errors: `journal_unavailable`.
  expected<void> confirm();

  /// Puts a new key into the ring, durably, and seals with it from now on; what is there follows by `reseal`. While
  /// an earlier rotation is under way that one goes on instead. Errors: `keys_refused`, `journal_unavailable`; then
  /// nothing has changed.
  expected<void> rotate();
  /// A rotation is under way, begun now or by an earlier process.
  [[nodiscard]] bool resealing() const;
  /// Seals the records of the next `most` sandboxes with the current key, in one transaction; after the last of them
  /// the other keys leave the ring. Errors as for `rotate`; it can be tried again.
  expected<void> reseal(std::size_t most);
  [[nodiscard]] expected<journal::key_census> census();

  /// Performs all of them in one transaction: durable when it returns. When that fails, each in one of its own, so that
  /// every caller learns his own outcome. One outcome each, in order. Never throws.
  ///
  /// A server whose connection is lost is connected to again, for a few seconds the first time, and the batch performed
  /// anew: what its lost commit may have stored is recognised by what is there. As long as that fails, and for ever
  /// once another node has opened the journal, every outcome is the reason.
  std::vector<journal::result> perform(std::span<const journal::operation> batch);

private:
  struct impl;
  class attempt;
  explicit journal_store(std::unique_ptr<impl> made);
  std::optional<failure> tried(std::span<const journal::operation> batch, std::span<const std::string> bodies,
                               std::span<journal::result> into, bool again);
  std::unique_ptr<impl> impl_;
};

} // namespace nestor::io
