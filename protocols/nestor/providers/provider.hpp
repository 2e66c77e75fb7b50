// The provider contract. A provider is a translator, not a client: a table of pure functions from intents to
// `io_request` values and from replies to outcomes. One file and one line in providers.def make a new one; the contract
// tests iterate the table and special-case nobody.
//
// Theory of operation. Each operation is one *conversation*: the function is called with nothing heard, answers with a
// question (`ask`) or an outcome, and is called again with the reply, until it gives an outcome. It keeps no state:
// where it is in the conversation is the `place` it chose for its question, and what it must remember (an id, a page's
// cursor) is the text the question carried. So a create with its polls, a list of many pages, a token that is fetched
// first are each one function with a switch over places; whoever carries the questions keeps nothing of his own.
//
// R1  `kind` is its key in configuration, JSON and metrics, and its file's name.
// R2  `validate` refuses what the provider cannot honour; nothing is ever dropped silently.
// R3  `authenticate` is the cheapest call that proves the credential; refusals surface here, before anything is
//     created. Without one there is nothing to prove.
// R4  `provision` stamps the three labels in the create call itself.
// R5  An answer that leaves open whether something was created is `create_unknown`, never a plain failure. Any other
//     failure of `provision` says that nothing is there: what was created and then failed is destroyed, and its absence
//     observed, in the same conversation first.
// R6  `observe` looks for what exists under the labels, through all pages, and gives what can be configured; what it
//     does not find is believed absent only as `create_settles` says. What carries other labels is not ours.
// R7  `destroy` is repeatable; "already gone" is success; `absent` is said only when absence was observed.
//     Where names are not unique, what lies between us and the provider may have carried a create out twice: `twin`
//     finds what else carries the labels, and it is destroyed too before absence is said.
// R8  Nothing here reads a clock, an environment variable or a file.
// R9  Keys of the account go only to hosts of its configuration and hosts it may be given (`carries_key_astray`); they
//     are never in what a runtime is asked with, and a session key is in nothing that the control plane is asked but
//     the runtime's own environment.
// R10 Every conversation ends: pages and polls are counted (`heard::asked`) or timed against named limits.
// R11 A command is sent once. A failure of `exec` says that nothing of it was run; an answer that leaves that open, or
//     how it ended, is an observation whose verdict is `unknown`.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/core/ids.hpp>
#include <nestor/providers/account.hpp>
#include <nestor/runtime/action.hpp>
#include <nestor/sandbox/spec.hpp>
#include <nestor/seam/io_request.hpp>

#include <memory>
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

/// The labels' names where a provider allows '-'; their order is that of `labels`.
inline constexpr std::string_view label_installation = "nestor-installation";
inline constexpr std::string_view label_sandbox = "nestor-sandbox";
inline constexpr std::string_view label_attempt = "nestor-attempt";

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

// -- what is ordered ------------------------------------------------------------------------------

struct no_order {};

struct provision_order {
  labels stamp;
  std::shared_ptr<const runtime_spec> spec;
  secret session_key; ///< derived from the labels (session_key.hpp); unused by `static`
  std::optional<milliseconds> lease;
  std::optional<milliseconds> max_lifetime;
};

struct renew_order {
  runtime what;
  milliseconds lease{0}; ///< from now
};

struct exec_order {
  runtime where;
  std::string command; ///< for a shell
  milliseconds within{0};
};

/// One page of everything that carries this installation's label.
struct list_order {
  installation_id installation;
  std::string cursor; ///< empty: the first page
};

// -- what comes of it -----------------------------------------------------------------------------

struct absent {};
struct paused {};
struct renewed {};
using sighting = std::variant<runtime, absent>;

/// What a runtime has printed lately: whole lines, bounded by the provider. May hold secrets of its configuration.
struct printed {
  bool captured = true; ///< false: nobody has it
  std::string text{};
};

struct listed {
  std::string ref;
  std::string sandbox;    ///< of its label; empty where lists do not tell
  attempt number = 0;     ///< of its label; 0 where lists do not tell
  std::string created_at; ///< as the provider writes it; may be empty
  std::string state;      ///< the provider's own word
};
struct listing {
  std::vector<listed> items;
  std::string next; ///< cursor of the next page; empty: that was the last
};

// -- the conversation -----------------------------------------------------------------------------

/// Where in a conversation we are: chosen by the provider, 0 for the start.
using place = std::uint8_t;

/// What was heard so far. `reply` belongs to the latest question, and is null at the start only.
struct heard {
  place at = 0;
  const io_reply* reply = nullptr;
  std::string_view carried; ///< what the latest question carried
  std::uint32_t asked = 0;  ///< questions so far
  milliseconds elapsed{0};  ///< since the conversation began
};

/// Ask this, `after` that time, and come back at place `at` with the reply.
struct ask {
  io_request request;
  milliseconds after{0};
  place at = 0;
  wiped_string carried = {}; ///< an id, a cursor; may hold a token
};

/// What a conversation with a provider has come to: a result, another question, or a failure.
template <class Result>
using progress = std::variant<Result, ask, failure>;

template <class Result, class Order>
using operation = progress<Result> (*)(const account&, const Order&, const heard&);

// -- the table ------------------------------------------------------------------------------------

/// What undoes a runtime of this provider.
enum class compensation : std::uint8_t {
  destroy, ///< end it
  withdraw ///< it is not ours to end: take back what was written
};

/// What a specification may ask for, because the node carries it. The last three need the operations below.
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
  bool on_this_machine = false; ///< it rents out the node's own machine: for admin tokens, unless tenants are listed
  compensation undo = compensation::destroy;
  /// How long look-ups must find nothing before an ambiguous create counts as absent: its longest server-side create
  /// plus the lag of its lists.
  milliseconds create_settles{0};
  milliseconds provision_within{0};        ///< longest time `provision` may take, its polls included
  milliseconds destroy_within{0};          ///< longest time one `destroy` may take before it is asked again
  std::span<const account_field> fields{}; ///< what an account of this kind is told
  std::span<const std::string_view>
    key_hosts{}; ///< besides the configured ones: hosts the key may go to; ".x.y": below

  expected<void> (*validate)(const runtime_spec&) = nullptr;
  operation<proof, no_order> authenticate = nullptr; ///< null: nothing to prove
  operation<runtime, provision_order> provision = nullptr;
  operation<sighting, provision_order> observe = nullptr;
  operation<absent, runtime> destroy = nullptr;
  operation<sighting, labels> twin = nullptr; ///< by its ref alone, and nothing is done to it; null: names are unique
  // null: it cannot
  operation<listing, list_order> list = nullptr;
  operation<paused, runtime> pause = nullptr;
  operation<runtime, runtime> resume = nullptr;
  operation<runtime, runtime> address = nullptr; ///< the access anew: tokens that change when it restarts
  operation<renewed, renew_order> renew = nullptr;
  operation<observation, exec_order> exec = nullptr;
  operation<printed, runtime> output = nullptr; ///< looks at what is captured anyway; runs nothing
  bool action_server = false; ///< a second port of its runtimes is reached, beside the nested server's
};

/// Every provider of this build, in the order of providers.def.
std::span<const provider* const> all();
/// nullptr when there is none of that kind.
const provider* of_kind(std::string_view kind);

/// R2, whole: what the kind's own `validate` says, and whether it can carry actions as the specification wants it.
expected<void> accepts(const provider& kind, const runtime_spec& spec);
/// "process, static": the kinds that carry actions so.
std::string carriers_of(actions_via way);

} // namespace nestor::providers
