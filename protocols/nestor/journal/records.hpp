// What is kept of a sandbox for longer than any actor lives. Two records each: `wanted`, written by whoever took the
// request, and `actual`, written by its owner only; and one more when it has ended. Values, known to no database.
#pragma once

#include <nestor/core/ids.hpp>
#include <nestor/core/time.hpp>
#include <nestor/nested/configuration.hpp>
#include <nestor/nested/evidence.hpp>
#include <nestor/providers/provider.hpp>
#include <nestor/sandbox/spec.hpp>
#include <nestor/sandbox/view.hpp>
#include <nestor/supervision/lifecycle.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nestor::journal {

/// One sandbox as its owner sees it: what is written before acts and after facts.
struct actual_record {
  sandbox_id sandbox;
  std::uint64_t revision = 0;
  supervision::memo kept;
  std::string dialect;
  nested::evidence strength = nested::evidence::none;
  std::optional<instant> configured_since; ///< on this boot's clock
  wall_time provisioned_at;
  std::shared_ptr<const providers::runtime> runtime;
  std::shared_ptr<const nested::delivery> holds;
};

/// How long a key of a create gives the same sandbox again.
inline constexpr std::chrono::hours replay_kept_for{24};

/// That a create came with an Idempotency-Key: which sandbox the same key gives again, for a day.
struct replay_mark {
  std::string key;  ///< keyed digest of tenant, route and key, in hexadecimal
  std::string body; ///< keyed digest of the body, in hexadecimal
  sandbox_id sandbox;
  wall_time since;
};

/// One generation of what is wanted, secrets in it.
struct wanted_record {
  sandbox_id sandbox;
  generation number = 1;
  std::shared_ptr<const sandbox_spec> spec;
  std::shared_ptr<const replay_mark> mark{}; ///< of generation 1 only, durable with it; never read back with it
};

/// How many records each key of the ring seals.
struct key_census {
  struct row {
    std::uint32_t id = 0;
    std::uint64_t records = 0;
  };
  std::vector<row> keys;
  std::uint32_t current = 0;
  bool resealing = false;     ///< records are being sealed with the current key; then the other ones leave the ring
  std::uint64_t resealed = 0; ///< by the rotation under way, or the latest, since the start
};

/// A sandbox that has ended, as it is shown until its retention is over.
struct closed_record {
  sandbox_id sandbox;
  wall_time ended;
  std::shared_ptr<const sandbox_view> last;
};

/// All that is kept of one sandbox.
struct sandbox_records {
  std::shared_ptr<const actual_record> actual;              ///< null: its owner never recorded anything
  std::vector<std::shared_ptr<const wanted_record>> wanted; ///< the latest generations, oldest first
  bool unwanted = false;
  std::shared_ptr<const closed_record> closed = {}; ///< once it has ended; then nothing else is kept
};

/// Generations kept of one sandbox: the newest, and those that a refused update may go back to. While changes follow
/// one another quickly the confirmed one may be several back.
inline constexpr std::size_t generations_max = 16;

} // namespace nestor::journal
