// The journal seam over a database: calls of actors are queued, one thread performs what is there in one transaction,
// and each caller hears its own outcome. While a commit waits for the disk the next batch gathers, so that a hundred
// writers cost one wait: no timer is needed for it. Keeps nothing in memory but what is queued, which is bounded by the
// actors: each has a few calls out at a time.
#pragma once

#include <nestor/actors/seams.hpp>
#include <nestor/io/journal_store.hpp>

#include <memory>

namespace nestor::bridge {

class durable_journal final : public actors::journal_port {
public:
  /// Starts the thread.
  explicit durable_journal(std::unique_ptr<io::journal_store> store);
  /// Performs what is queued, then ends the thread.
  ~durable_journal() override;
  durable_journal(const durable_journal&) = delete;
  durable_journal& operator=(const durable_journal&) = delete;

  [[nodiscard]] const installation_id& installation() const override;
  [[nodiscard]] std::shared_ptr<const nested::digest_key> key() const override;
  [[nodiscard]] const secret& node_secret() const override;
  [[nodiscard]] std::uint32_t earlier_starts() const override;
  [[nodiscard]] std::vector<journal::replay_mark> replays() const override;
  [[nodiscard]] std::string doubt() const override;
  void confirm(actors::reply_to to) override;
  void rotate(actors::reply_to to) override;
  void look_at_keys(actors::reply_to to) override;
  void write(actors::actual_record record, actors::reply_to to) override;
  void want(actors::wanted_record record, actors::reply_to to) override;
  void read(const sandbox_id& sandbox, generation number, actors::reply_to to) override;
  void unwant(const sandbox_id& sandbox, actors::reply_to to) override;
  void load(const sandbox_id& sandbox, actors::reply_to to) override;
  void list(const sandbox_id& after, std::size_t most, actors::reply_to to) override;
  void close(actors::closed_record record) override;
  void forget(const sandbox_id& sandbox) override;
  [[nodiscard]] std::size_t bytes_held() const override;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace nestor::bridge
