// What is kept beside a journal's file so that an older state of it, or a copy of it, is recognised: in which life it
// was last, how far that life had come, and which file it was. docs/decisions/0008 says why each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nestor::io {

struct journal_witness {
  std::string life;          ///< chosen anew by each start
  std::uint64_t commits = 0; ///< the journal had at least so many
  std::uint64_t file = 0;    ///< inode: another one is a copy, whatever is in it
  std::string machine;       ///< empty: it has no name
};

/// What a journal says of itself when it is opened.
struct journal_claim {
  std::string life;   ///< of the latest start that it knows
  std::string before; ///< of the one whose witness that start had read
  std::uint64_t commits = 0;
  std::uint64_t file = 0;
  std::string machine;
};

/// In words, why the journal is not the one that the witness saw last; empty when nothing speaks for that. No witness:
/// it has none beside it although it once had.
std::string doubt_of(const journal_claim& claim, const std::optional<journal_witness>& seen);

/// Nothing when it is missing or no witness.
std::optional<journal_witness> read_witness(const std::string& path);
bool write_witness(const std::string& path, const journal_witness& witness);

/// Of the file at `path`; 0 when there is none.
std::uint64_t inode_of(const std::string& path);
/// /etc/machine-id; empty where there is none.
std::string machine_id();

} // namespace nestor::io
