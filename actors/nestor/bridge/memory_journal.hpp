// The journal of `up`, `demo` and `bench`: keeps records in memory, for as long as the process lives, behind the same
// seam as a durable one. Every write is answered by a message, in order, so that nobody comes to rely on it being there
// at once. Thread safe.
#pragma once

#include <nestor/actors/seams.hpp>

#include <mutex>
#include <unordered_map>
#include <vector>

namespace nestor::bridge {

class memory_journal final : public actors::journal_port {
public:
  /// `entropy`: at least id_entropy_bytes for the installation's id, then 32 for the digest key.
  explicit memory_journal(actors::entropy_port& entropy);

  [[nodiscard]] const installation_id& installation() const override { return installation_; }
  [[nodiscard]] std::shared_ptr<const nested::digest_key> key() const override { return key_; }
  [[nodiscard]] const secret& node_secret() const override { return key_->bytes; }
  [[nodiscard]] std::uint32_t earlier_starts() const override { return 0; }
  void write(actors::actual_record record, actors::reply_to to) override;
  void want(actors::wanted_record record, actors::reply_to to) override;
  void read(const sandbox_id& sandbox, generation number, actors::reply_to to) override;
  void unwant(const sandbox_id& sandbox, actors::reply_to to) override;
  void load(const sandbox_id& sandbox, actors::reply_to to) override;
  void list(const sandbox_id& after, std::size_t most, actors::reply_to to) override;
  void close(actors::closed_record record) override { forget(record.sandbox); }
  void forget(const sandbox_id& sandbox) override;
  [[nodiscard]] std::size_t bytes_held() const override;

private:
  struct kept {
    actors::actual_record actual;
    std::vector<std::shared_ptr<const actors::wanted_record>> wanted; ///< the latest generations, oldest first
    bool unwanted = false;
  };

  installation_id installation_;
  std::shared_ptr<const nested::digest_key> key_;
  mutable std::mutex mutex_;
  std::unordered_map<sandbox_id, kept> records_;
};

} // namespace nestor::bridge
