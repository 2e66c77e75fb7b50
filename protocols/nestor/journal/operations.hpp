// What is asked of a journal, as values: the seam's calls, in the order in which they were made. One store performs
// them on a database, a model in the tests performs them on maps, and both must give the same outcomes.
#pragma once

#include <nestor/journal/records.hpp>

#include <memory>
#include <utility>
#include <variant>
#include <vector>

namespace nestor::journal {

namespace op {
/// Stored when the sandbox is wanted, has not ended, and nothing as new is there.
struct write {
  actual_record record;
};
/// Generation 1 makes the sandbox known. Not stored for a sandbox that is unknown or has ended.
struct want {
  wanted_record record;
};
/// One generation; empty when it is no longer kept.
struct read {
  sandbox_id sandbox;
  generation number = 0;
};
/// Its end is wanted. Not stored for a sandbox that is unknown or has ended.
struct unwant {
  sandbox_id sandbox;
};
/// It has ended: from now on this is all that is kept of it.
struct close {
  closed_record record;
};
struct forget {
  sandbox_id sandbox;
};
struct load {
  sandbox_id sandbox;
};
/// The next `most` sandboxes, ordered by id, after that one.
struct list {
  sandbox_id after;
  std::size_t most = 0;
};
} // namespace op

using operation = std::variant<op::write, op::want, op::read, op::unwant, op::close, op::forget, op::load, op::list>;

using listed_sandbox = std::pair<sandbox_id, sandbox_records>;

struct result {
  bool done = false;                                ///< a write is durable, a read could be read
  std::shared_ptr<const wanted_record> wanted = {}; ///< of a read
  std::vector<listed_sandbox> found = {};           ///< of a load, one; of a list
  std::optional<failure> why = {};                  ///< why it is not done, where that is not the caller's doing
};

} // namespace nestor::journal
