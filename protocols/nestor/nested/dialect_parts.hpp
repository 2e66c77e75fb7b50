// What dialects are built from: the list of stages and the walk along it, the forms of a question, who owns a name, and
// what a read-back means. It refuses to know any one server's routes or bodies.
#pragma once

#include <nestor/nested/dialect.hpp>
#include <nestor/nested/json_text.hpp>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nestor::nested {

// -- stages ----------------------------------------------------------------------------------------------------------

/// The order of a dialect's stages by purpose; each list ends with `Stage::done`.
template <class Stage>
struct itinerary {
  std::span<const Stage> configuring;
  std::span<const Stage> withdrawing;
  std::span<const Stage> looking;

  [[nodiscard]] std::span<const Stage> of(purpose why) const {
    switch (why) {
      case purpose::withdraw: return withdrawing;
      case purpose::probe:
      case purpose::deep_probe: return looking;
      case purpose::configure:
      case purpose::update:
      case purpose::restore:
      case purpose::converse: break;
    }
    return configuring;
  }
  [[nodiscard]] Stage at(const walk& w) const { return of(w.order->why)[w.at]; }
  /// Moves past every stage that `empty` says has nothing left, and tells `entered` of each that is entered.
  template <class Empty, class Entered>
  void advance(walk& w, Empty&& empty, Entered&& entered) const {
    while (at(w) != Stage::done && empty(w)) {
      ++w.at;
      w.item = 0;
      entered(w);
    }
  }
  /// Back or forward to a stage of this purpose.
  void go_to(walk& w, Stage to) const {
    w.at = 0;
    while (at(w) != to)
      ++w.at;
    w.item = 0;
  }
};

bool withdraws(const walk& w);
/// What is left to say when every stage is done: the weakest evidence of the three steps, and which step's it was.
walked all_done(const walk& w);

// -- questions -------------------------------------------------------------------------------------------------------

question ask(topic about, step at, http::method verb, std::string path, milliseconds timeout);
/// Ends the body; without UTF-8 there is no question.
turn finished(question& q, json_object& body);

/// Time-outs of one request, from contract §3.1, for servers that ask the git providers' hosts about a token.
inline constexpr dialect_timeouts usual_timeouts{
  .look = 10s,
  .settings = 10s,
  .git_provider_each = 20s, // up to four hosts are tried for a token, 5 s each
  .git_provider_more = 5s,
  .secret = 10s,
};

// -- whose is it -----------------------------------------------------------------------------------------------------

/// True when everything the order does not name may be taken away: a runtime of our own, or `adopt: overwrite`.
bool owns_everything(const push_order& order);
/// Was it written, or may it have been, by us before this run?
bool settings_were_ours(const push_order& order);
bool git_provider_was_ours(const push_order& order, std::string_view name);
bool secret_was_ours(const push_order& order, std::string_view name);
bool is_wanted_git_provider(const push_order& order, std::string_view name);
bool is_wanted_secret(const push_order& order, std::string_view name);
/// The server is known to hold the wanted value; only for an update: other purposes push everything.
bool may_skip_settings(const walk& w);
bool may_skip_git_provider(const walk& w, std::string_view name);
bool may_skip_secret(const walk& w, std::string_view name);
/// Fills `changes` from `secrets_listed`: deletes what changed or went, writes what is wanted.
void plan_secrets(walk& w);
/// After a write of ours met "already exists": applied when it may be our own, else delete and write again.
/// `applied` says which; the outcome is not `good` when another client keeps writing the same name.
outcome settle_clash(walk& w, const question& asked, bool& applied);

// -- what an answer means --------------------------------------------------------------------------------------------

/// `adopt: refuse` found that `what` is there: "the server has settings".
outcome already_configured(step at, std::string what);
/// A success whose body is not what the dialect defines.
outcome not_as_defined(const question& asked, std::string_view what);
/// Compares the listed secret names with what the order wants; empty when they agree, else what differs, by name.
std::string secrets_difference(const walk& w, const std::vector<std::string>& listed);
/// The same for git providers and, where shown, their hosts.
std::string git_providers_difference(const walk& w, const std::vector<shown_git_provider>& shown);
/// A read-back that differs: drift for a deep probe, a failure for everybody else.
outcome differs(walk& w, std::string what);
/// A list of names was read back: they differ, or they are confirmed, which is all that can be said of `some` values.
outcome names_confirmed(walk& w, std::string difference, evidence& strength, bool some);
bool some_git_providers(const walk& w);
bool some_secrets(const walk& w);
/// After a withdrawal: none of our settings has a value any more.
outcome settings_emptied(walk& w, const std::vector<std::string>& filled);

} // namespace nestor::nested
