// What survives a node: the records that were synced, and the queue of those that were not. Records go through the real
// codec on their way to the disk, so what a later node reads is what bytes can carry.
#pragma once

#include "transcript.hpp"

#include <journal/model_journal.hpp>

#include <nestor/actors/seams.hpp>

#include <emulator/clockwork.hpp>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace nestor::simulation {

class disk {
public:
  explicit disk(std::uint64_t seed);

  installation_id installation;
  std::shared_ptr<const nested::digest_key> key;
  secret node_secret;
  std::uint32_t starts = 0;

  journal::result perform(const journal::operation& what, const journal::time_anchor& at);
  /// nullptr when nothing is known of it.
  [[nodiscard]] const journal::sandbox_records* find(const sandbox_id& id) const;
  [[nodiscard]] const auto& all() const { return kept_.all(); }

  /// Those whose end became durable, for ever.
  std::set<sandbox_id> unwanted;
  /// Told of every generation that became durable.
  std::function<void(const journal::wanted_record&)> on_wanted;

private:
  tests::model_journal kept_;
};

/// What becomes of a group of writes that is about to be synced.
enum class fate : std::uint8_t { synced, refused, refused_but_there, crash_before, crash_after };

/// The journal seam of one node, over a disk that outlives it: queued, synced in groups after a moment, answered then.
class paper_journal final : public actors::journal_port, public std::enable_shared_from_this<paper_journal> {
public:
  struct surroundings {
    disk& records;
    emulator::clockwork& time;
    transcript& told;
    std::function<std::uint64_t()> draw;
    std::function<fate()> fate_of_next;
    std::function<wall_time()> wall;
  };
  explicit paper_journal(surroundings around);

  /// The node is gone. Of what was queued, the first `survives` of 100 are on the disk all the same.
  void crash(unsigned survives);

  [[nodiscard]] const installation_id& installation() const override { return around_.records.installation; }
  [[nodiscard]] std::shared_ptr<const nested::digest_key> key() const override { return around_.records.key; }
  [[nodiscard]] const secret& node_secret() const override { return around_.records.node_secret; }
  [[nodiscard]] std::uint32_t earlier_starts() const override { return around_.records.starts - 1; }
  void write(actors::actual_record record, actors::reply_to to) override;
  void want(actors::wanted_record record, actors::reply_to to) override;
  void read(const sandbox_id& sandbox, generation number, actors::reply_to to) override;
  void unwant(const sandbox_id& sandbox, actors::reply_to to) override;
  void load(const sandbox_id& sandbox, actors::reply_to to) override;
  void list(const sandbox_id& after, std::size_t most, actors::reply_to to) override;
  void close(actors::closed_record record) override;
  void forget(const sandbox_id& sandbox) override;
  [[nodiscard]] std::size_t bytes_held() const override { return 0; }

private:
  struct asked {
    journal::operation what;
    actors::reply_to to;
  };
  void ask(journal::operation what, actors::reply_to to = {});
  void sync();
  [[nodiscard]] journal::time_anchor anchor() const;

  surroundings around_;
  std::vector<asked> queue_;
  bool open_ = true;
  bool syncing_ = false;
};

} // namespace nestor::simulation
