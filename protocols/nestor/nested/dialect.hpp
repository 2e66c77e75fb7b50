// The dialect contract. A dialect is a translator: a table of pure functions over a `walk`, which holds what one run
// has learned so far. One file and one line in dialects.def make a new one.
//
// D1  `name` is its key in specifications, its file's name with '-' for '_'.
// D2  `begin` and `heard` change the walk and nothing else; `next` reads it. No clock, no randomness: the same answers
//     give the same questions.
// D3  One question at a time, and the same one again after `lost` or an outcome that says `again`, unless what was
//     heard makes another one right.
// D4  Nothing counts as applied on the strength of a 2xx where the dialect can read back.
// D5  A failure names a step, a git provider, a secret or a setting by name, never a value or a body.
//
// It knows neither tries nor time: how often a question is repeated, and when, is push_plan's.
#pragma once

#include <nestor/nested/answer.hpp>
#include <nestor/nested/push_plan.hpp>

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nestor::nested {

/// A git provider as a read-back shows it.
struct shown_git_provider {
  std::string name;
  std::string host;        ///< empty: none
  bool host_shown = false; ///< false: the server does not tell hosts
};

/// A git provider that stays as it is on the server: sent with an empty token, its own host and user.
struct kept_git_provider {
  std::string name;
  std::optional<std::string> host;
  std::optional<std::string> user_id;
};

/// One change to the list of secrets.
struct secret_change {
  bool write = false; ///< false: delete
  std::string name;
  std::size_t item = 0;      ///< of `configuration::secrets`, when written
  bool git = false;          ///< agent-server: it holds a git provider's token; `item` is of those
  bool known_absent = false; ///< it was seen or made absent, and nobody but us writes
  bool maybe_there = false;  ///< our own write was sent and no clear answer came
  std::uint8_t clashes = 0;  ///< how often the server said "already exists"
};

/// What a run has learned of the conversation that it is to start (conversation.hpp).
struct conversation_walk {
  std::string id;           ///< that it goes by where one may be chosen
  bool named = false;       ///< the specification chose it
  bool has_secrets = false; ///< the specification says which secrets it holds
  bool looks = false;       ///< first it is looked for
  bool nameless = false;    ///< the server chooses the id: a lost answer cannot be looked for
  bool said = false;        ///< the server said that it is started: that is read back
  bool started = false;
  std::uint8_t lost = 0;      ///< answers, of requests that may have started it
  std::optional<failure> why; ///< ... the last of them
};

/// What one run has learned and where it is. Owned by the plan; `order` outlives it.
struct walk {
  const push_order* order = nullptr;
  delivery target;      ///< of `order->wanted`
  bool wrote = false;   ///< something that mutates was sent
  std::uint8_t at = 0;  ///< the dialect's own: position in its list of stages
  std::size_t item = 0; ///< position within the stage

  bool looked = false;             ///< the server's settings were read in this run
  bool settings_exist = false;     ///< ... and there were some
  std::vector<std::string> filled; ///< ... of those that null keeps, the ones that have a value
  std::vector<shown_git_provider> git_shown;
  std::vector<std::string> secrets_listed; ///< sorted

  std::vector<kept_git_provider> git_kept;
  std::vector<std::size_t> git_writes; ///< of `configuration::git_providers`
  std::vector<std::string> git_deletes;
  bool git_clear = false;             ///< the kept ones are sent once, alone, before anything is written
  std::vector<secret_change> changes; ///< of secrets

  bool git_swept = false; ///< generic: what the read-back showed too much was deleted, once
  bool secrets_swept = false;
  bool settings_silent = false; ///< generic: the read-back showed none of the wanted settings
  bool look_refused = false;    ///< generic: a read-back had no place on the server
  bool looked_twice = false;    ///< generic: ... and was asked for again
  bool looks_offered = false;   ///< generic: at least one read-back had the contract's form

  bool dormant = false;                   ///< agent-server: it waits for its init
  std::uint8_t wakes = 0;                 ///< agent-server: inits that were sent
  bool doubted = false;                   ///< agent-server: a value was not the wanted one when it was read once
  wiped_string placed;                    ///< agent-server: the wanted settings in its own shape
  std::string misplaced;                  ///< agent-server: why the configuration does not fit there
  wiped_string shown;                     ///< agent-server: the settings it showed, secrets hidden
  std::string next_page;                  ///< agent-server: of its conversations
  std::vector<std::string> conversations; ///< agent-server: to be told what changed

  conversation_walk talk;

  evidence settings_evidence = evidence::value;
  evidence git_evidence = evidence::value;
  evidence secrets_evidence = evidence::value;
  bool drifted = false; ///< deep probe: the server does not hold what is wanted
  std::string drift;    ///< what differs, by name
};

/// The run's work is done as far as the dialect is concerned.
struct walked {
  evidence strength = evidence::none; ///< the weakest of the steps'
  step weakest = step::settings;      ///< ... and the first step that has no stronger one
};

using turn = std::variant<question, walked, failure>;

/// Time-outs of one request, from contract §3.1.
struct dialect_timeouts {
  milliseconds look; ///< a read
  milliseconds settings;
  milliseconds git_provider_each; ///< the server tries up to four hosts, 5 s each, for every token
  milliseconds git_provider_more;
  milliseconds secret;
};

/// How its servers start conversations.
struct conversation_way {
  bool there = false;             ///< they do
  bool id_may_be_refused = false; ///< some let nobody choose one: 422
  bool ids_are_uuids = false;     ///< with dashes
  bool hold_secrets = false;      ///< each has its own copy of them, which is sent along
  std::string_view id_path{};     ///< where an answer tells the id
};

struct dialect {
  std::string_view name;
  std::string_view summary; ///< one line for the documentation
  evidence settings;        ///< the strongest it has, per step
  evidence git_providers;
  evidence secrets;
  dialect_timeouts within;

  void (*begin)(walk&);
  turn (*next)(const walk&);
  outcome (*heard)(walk&, const question&, const http::response&);
  /// The question was sent (or may have been) and no answer came that says what it did.
  void (*lost)(walk&, const question&);
  conversation_way conversations{};
};

/// Every dialect of this build, in the order of dialects.def.
std::span<const dialect* const> dialects();
/// nullptr when there is none of that name ("auto" is none).
const dialect* dialect_named(std::string_view name);

} // namespace nestor::nested
