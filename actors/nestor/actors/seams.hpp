// The seams to the world, as the actors see them: asynchronous, values in, values out. The real ones are in io/; tests
// put scripted ones in their place. Every answer comes back as a message, exactly once, and carries the number of what
// was asked; the asking actor is held weakly, so that pending work keeps no dead actor in memory.
#pragma once

#include <nestor/actors/caf.hpp>
#include <nestor/core/time.hpp>
#include <nestor/journal/records.hpp>
#include <nestor/nested/configuration.hpp>
#include <nestor/providers/account_book.hpp>
#include <nestor/providers/provider.hpp>
#include <nestor/sandbox/spec.hpp>
#include <nestor/seam/io_request.hpp>
#include <nestor/supervision/lifecycle.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace nestor::actors {

/// Where an answer goes.
struct reply_to {
  caf::actor_addr whom;
  std::uint64_t ticket = 0;
};

/// Sockets and processes. Answers with `io_done`.
class io_port {
public:
  virtual ~io_port() = default;
  virtual void perform(io_request request, reply_to to) = 0;
  /// Tells `to` with `process_gone` when nothing of the process's tree is left, asked or unasked. Once.
  virtual void watch(const process_ref& process, reply_to to) = 0;
};

using journal::actual_record;
using journal::closed_record;
using journal::sandbox_records;
using journal::wanted_record;

/// Durable records, read and written in the order they were asked for. Answers with `journal_done`, `wanted_loaded` for
/// a read, `records_loaded` for a load, `records_listed` for a list. A write that is older than what is there, or of a
/// sandbox that has ended, is answered as not durable.
class journal_port {
public:
  virtual ~journal_port() = default;
  [[nodiscard]] virtual const installation_id& installation() const = 0;
  /// Of digests; another one after keys were rotated.
  [[nodiscard]] virtual std::shared_ptr<const nested::digest_key> key() const = 0;
  /// 32 bytes, the same for as long as the installation is: what session keys are derived from.
  [[nodiscard]] virtual const secret& node_secret() const = 0;
  /// How often this journal was opened before: every number that outlives a process starts above those of earlier ones.
  [[nodiscard]] virtual std::uint32_t earlier_starts() const = 0;
  /// Idempotency keys of the last day, with the sandboxes that they made; as they were when the journal was opened.
  [[nodiscard]] virtual std::vector<journal::replay_mark> replays() const { return {}; }
  /// Why this may be an older state of the journal, or a copy of it: empty when nothing speaks for that, or somebody
  /// confirmed that the original is gone.
  [[nodiscard]] virtual std::string doubt() const { return {}; }
  /// Takes the doubt away, durably. Answers with `journal_done`.
  virtual void confirm(reply_to to);
  /// Makes a new sealing key, and seals what is there with it, a few records at a time. Answers with `keys_seen` once
  /// the key is durable; while an earlier rotation is not done, with that one's.
  virtual void rotate(reply_to to);
  /// Answers with `keys_seen`.
  virtual void look_at_keys(reply_to to);
  virtual void write(actual_record record, reply_to to) = 0;
  virtual void want(wanted_record record, reply_to to) = 0;
  /// One generation of a sandbox; a generation that is no longer kept is answered empty.
  virtual void read(const sandbox_id& sandbox, generation number, reply_to to) = 0;
  /// Its end is wanted. Never taken back.
  virtual void unwant(const sandbox_id& sandbox, reply_to to) = 0;
  /// Everything, to go on where a SUPERVISOR died.
  virtual void load(const sandbox_id& sandbox, reply_to to) = 0;
  /// The next `most` sandboxes by id after `after`, with everything that is kept of them.
  virtual void list(const sandbox_id& after, std::size_t most, reply_to to) = 0;
  /// It has ended: nothing but this is needed any more.
  virtual void close(closed_record record) = 0;
  /// Not even that.
  virtual void forget(const sandbox_id& sandbox) = 0;
  /// Bytes that the journal itself holds in memory.
  [[nodiscard]] virtual std::size_t bytes_held() const = 0;
};

class clock_port {
public:
  virtual ~clock_port() = default;
  [[nodiscard]] virtual instant now() const = 0;
  [[nodiscard]] virtual wall_time wall() const = 0;
};

class entropy_port {
public:
  virtual ~entropy_port() = default;
  virtual void fill(std::span<std::uint8_t> bytes) = 0;
};

/// What is done for a sandbox may belong to somebody's trace.
class trace_port {
public:
  virtual ~trace_port() = default;
  /// The W3C `traceparent` to send along with what is asked on behalf of that sandbox; empty: nobody traces it.
  [[nodiscard]] virtual std::string parent_of(const sandbox_id& sandbox) const = 0;
};

/// What all actors of one node share. Immutable once the node runs.
struct surroundings {
  std::shared_ptr<io_port> io;
  std::shared_ptr<journal_port> journal;
  std::shared_ptr<clock_port> clock;
  std::shared_ptr<entropy_port> entropy;
  std::shared_ptr<const providers::account_book> accounts = providers::built_in_accounts();
  std::shared_ptr<const trace_port> traces = nullptr; ///< null: nothing is traced
  secret_lookup secrets; ///< of the accounts; asked for each proof. Null: none can be looked up
  caf::actor timers;     ///< TIMER WHEEL
  caf::actor desk;       ///< PROVIDER DESK; may be empty while no account has a credential
  caf::actor observer;   ///< gets `status_changed` and, when `detailed`, `step_changed`; may be empty
  bool detailed = false;
};
using surroundings_ptr = std::shared_ptr<const surroundings>;

} // namespace nestor::actors
