// The provider contract. A provider is a translator, not a client: a table of pure functions from intents to
// `io_request` values and from replies to outcomes. One file and one line in providers.def make a new one; the contract
// tests iterate the table and special-case nobody.
//
// R1  `kind` is its key in configuration, JSON and metrics, and its file's name.
// R2  `validate` refuses what the provider cannot honour; nothing is ever dropped silently.
// R3  `authenticate` is the cheapest call that proves the credential; refusals surface here, before anything is
// created. R4  `provision` stamps the three labels in the create call itself. R5  An answer that leaves open whether
// something was created is `create_unknown`, never a plain failure. R6  `observe` looks for what exists under the
// labels; it is believed absent only as `create_settles` says. R7  `destroy` is repeatable; "already gone" is success;
// `absent` is said only when absence was observed. R8  Nothing here reads a clock, an environment variable or a file.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/core/ids.hpp>
#include <nestor/sandbox/spec.hpp>
#include <nestor/seam/io_request.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nestor::providers {

/// What every runtime carries at its provider, so that it can be found again and told from others'.
struct labels {
  installation_id installation;
  sandbox_id sandbox;
  attempt number = 0;
};

/// One rented runtime: where it is and how it is spoken to.
struct runtime {
  std::string ref;                   ///< the provider's own name for it; printable
  endpoint where;                    ///< of the nested server
  std::string path_prefix;           ///< of its URL, without trailing '/'
  std::vector<http::header> headers; ///< the provider's own access headers (preview tokens)
  secret session_key;
  address_source from = address_source::spec;
  std::optional<process_ref> process; ///< `process` only
};

struct provision_order {
  labels stamp;
  std::shared_ptr<const runtime_spec> spec;
  secret session_key; ///< generated for this runtime; unused by `static`
};

/// Ask this, `after` that time, and feed the reply to the function beside it.
struct ask {
  io_request request;
  milliseconds after{0};
};
struct absent {};

/// What a conversation with a provider has come to: a result, another question, or a failure.
template <class Result>
using progress = std::variant<Result, ask, failure>;
using sighting = std::variant<runtime, absent>;

/// What undoes a runtime of this provider.
enum class compensation : std::uint8_t {
  destroy, ///< end it
  withdraw ///< it is not ours to end: take back what was written
};

struct capabilities {
  bool command = false; ///< runs a command of the user's
  bool image = false;
  bool resources = false;
  bool enumerates = false; ///< can list what carries our labels
  bool pauses = false;
  bool leases = false;
};

struct provider {
  std::string_view kind;
  std::string_view summary; ///< one line for `provider list` and the documentation
  capabilities can;
  compensation undo = compensation::destroy;
  /// How long look-ups must find nothing before an ambiguous create counts as absent: its longest server-side create
  /// plus the lag of its lists.
  milliseconds create_settles{0};
  milliseconds provision_within{0}; ///< longest time `provision` may take, its polls included
  milliseconds destroy_within{0};   ///< longest time one `destroy` may take before it is asked again

  expected<void> (*validate)(const runtime_spec&);
  progress<runtime> (*provision)(const provision_order&);
  progress<runtime> (*provisioned)(const provision_order&, const io_reply&);
  progress<sighting> (*observe)(const provision_order&);
  progress<sighting> (*observed)(const provision_order&, const io_reply&);
  progress<absent> (*destroy)(const runtime&);
  progress<absent> (*destroyed)(const runtime&, const io_reply&);
};

/// Every provider of this build, in the order of providers.def.
std::span<const provider* const> all();
/// nullptr when there is none of that kind.
const provider* of_kind(std::string_view kind);

} // namespace nestor::providers
