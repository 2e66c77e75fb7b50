// `modal`: sandboxes by gRPC. The nested server is their entrypoint, found by name and tags, reached through an
// encrypted tunnel without a key of its own: the session key is what guards it. There is no pause and no lease; the
// provider ends a sandbox at its lifetime. An app in the account holds them all, and an image is built before the
// first.
#include <nestor/providers/internal/carried.hpp>
#include <nestor/providers/internal/modal_calls.hpp>
#include <nestor/providers/internal/modal_commands.hpp>
#include <nestor/providers/internal/option_rows.hpp>
#include <nestor/providers/internal/outcome.hpp>
#include <nestor/providers/start.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace nestor::providers {
namespace {

using namespace internal;
using namespace internal::modal;
using std::chrono::seconds;

// The first sandbox of an image waits until it is built; a large one takes minutes, once.
constexpr milliseconds builds_within{600'000};
// A tunnel is known when the sandbox is scheduled, which takes seconds, with a large image a minute.
constexpr milliseconds boots_within{300'000};
// One pass of an end: an answer says that it is on its way, and a look that it is over.
constexpr milliseconds ends_within{60'000};
// The longest that a create is waited for here, and as much again until every list shows it.
constexpr milliseconds settles{240'000};
// The server holds a question for tunnels for 50 s at most.
constexpr seconds held_for{20};
// A look for a lost create is over before whoever looks loses patience (30 s).
constexpr seconds observe_held_for{5};
// A page holds what the provider likes; more than this is not an account's list but one that does not end.
constexpr std::uint32_t pages_max = 1'000;

constexpr std::array fields{
  account_field{"token_id", field_holds::secret, "MODAL_TOKEN_ID", "", true, "Token id, ak-…"},
  account_field{"token_secret", field_holds::secret, "MODAL_TOKEN_SECRET", "", true, "Token secret, as-…"},
  account_field{"server_url", field_holds::url, "MODAL_SERVER_URL", "https://api.modal.com", false,
                "The control plane; with http:// gRPC and tunnels are spoken to without TLS."},
  account_field{"environment", field_holds::text, "MODAL_ENVIRONMENT", "", false, "Environment; empty: the default."},
  account_field{"app", field_holds::text, "", "nestor", false, "App that holds the sandboxes; made if missing."},
  account_field{"image_builder_version", field_holds::text, "MODAL_IMAGE_BUILDER_VERSION", "", false,
                "Of the images that are built; empty: the environment's own."},
  account_field{"client_type", field_holds::text, "", "8", false, "Number of the official client to be taken for."},
  account_field{"client_version", field_holds::text, "", "1.0.0", false, "Protocol version that is spoken."},
  account_field{"client_name", field_holds::text, "", "nestor/0.1.0", false, "Name and version that we give."},
};

constexpr std::array option_rows{
  option_row{"workdir", option_holds::word}, // absolute
  option_row{"region", option_holds::word},
  option_row{"cloud", option_holds::word},
};

enum : place {
  at_start,
  at_app,
  at_environment,
  at_image,
  at_joined, ///< what became of the image's build
  at_created,
  at_named,
  at_tunnels,
  at_polled, ///< whether it still runs
  at_listed,
  at_terminated,
  at_vanishing,
  at_renewed ///< another token
};

failure failed(errc code, std::string cause, step when = step::provision) {
  return failure{code, when, std::move(cause), 0, {}};
}

std::string part(const heard& so_far, std::size_t index) {
  return carried_part(so_far.carried, index);
}

milliseconds after_of(const heard& so_far) {
  return std::max(poll_after(so_far), throttle_of(*so_far.reply).value_or(milliseconds{0}));
}

bool said(const heard& so_far, rpc_code status) {
  return has_status(answer_of(*so_far.reply), status);
}

// -- the end --------------------------------------------------------------------------------------

/// Whoever ends a sandbox may have proved its token long ago: then it is told another one on the way.
account with_token(const account& who, const std::string& token) {
  auto result = who;
  if (!token.empty())
    result.proven.tokens = {{std::string{auth_token}, secret::copy_of(token)}};
  return result;
}

/// `token`: one that was told on the way.
ask end_it(const account& who, const std::string& id, std::string_view cause = {}, std::string_view token = {},
           milliseconds after = {}) {
  return ask{terminate(who, id), after, at_terminated, carry({id, cause, token})};
}

/// Told to end until it is over or not known.
progress<absent> ended(const account& proven, const heard& so_far, milliseconds within) {
  auto id = part(so_far, 0);
  auto cause = part(so_far, 1);
  auto token = part(so_far, 2);
  if (so_far.at == at_renewed) {
    auto given = read<message::AuthToken>(*so_far.reply);
    if (!given || given->token().empty())
      return unread(proven, stage::ending, "renewing the token", *so_far.reply);
    return end_it(with_token(proven, given->token()), id, cause, given->token());
  }
  if (said(so_far, rpc_code::not_found))
    return absent{};
  if (said(so_far, rpc_code::unauthenticated) && token.empty())
    return ask{unproven_call(proven, "AuthTokenGet", message::Empty{}), milliseconds{0}, at_renewed,
               carry({id, cause})};
  auto who = with_token(proven, token);
  auto now = so_far.at == at_vanishing ? read<message::Waited>(*so_far.reply) : std::nullopt;
  if (now && is_over(now->result()))
    return absent{};
  auto after = after_of(so_far);
  if (refuses_us(answer_of(*so_far.reply)) || so_far.elapsed + after > within)
    return now ? failed(errc::destroy_failed, who.name + ": " + id + " still runs", step::destroy)
               : unread(who, stage::ending, "ending " + id, *so_far.reply);
  if (so_far.at == at_terminated && succeeded(answer_of(*so_far.reply))) // mostly it is over at once
    return ask{poll(who, id), milliseconds{0}, at_vanishing, carry({id, cause, token})};
  return end_it(who, id, cause, token, after);
}

progress<absent> destroy(const account& who, const runtime& gone, const heard& so_far) {
  if (!so_far.reply)
    return end_it(who, gone.ref);
  return ended(who, so_far, ends_within);
}

// -- what a create needs --------------------------------------------------------------------------

constexpr std::string_view image_mark = "im-";

ask ask_image(const account& who, const provision_order& order, const std::string& app_id, const std::string& builder,
              milliseconds after = {}) {
  return ask{image(who, app_id, builder, order.spec->image), after, at_image, carry({app_id, builder})};
}

ask ask_create(const account& who, const provision_order& order, const std::string& app_id,
               const std::string& image_id) {
  return ask{create(who, order, app_id, image_id), milliseconds{0}, at_created};
}

progress<runtime> on_app(const account& who, const provision_order& order, const heard& so_far) {
  constexpr std::string_view doing = "asking for its app";
  auto found = read<message::App>(*so_far.reply);
  if (!found)
    return unread(who, stage::looking, doing, *so_far.reply);
  if (found->app_id().empty())
    return not_understood(who, stage::looking, doing, "the answer names none");
  if (order.spec->image.starts_with(image_mark))
    return ask_create(who, order, found->app_id(), order.spec->image);
  if (auto told = who.text("image_builder_version"); !told.empty())
    return ask_image(who, order, found->app_id(), std::string{told});
  message::EnvironmentRequest request;
  request.set_name(std::string{who.text("environment")});
  return ask{call_of(who, "EnvironmentGetOrCreate", request), milliseconds{0}, at_environment,
             carry({found->app_id()})};
}

progress<runtime> on_environment(const account& who, const provision_order& order, const heard& so_far) {
  auto found = read<message::Environment>(*so_far.reply);
  if (!found)
    return unread(who, stage::looking, "asking for its environment", *so_far.reply);
  return ask_image(who, order, part(so_far, 0), found->metadata().settings().image_builder_version());
}

/// A build's result; nothing yet: its stream is joined where it was left.
progress<runtime> on_build(const account& who, const provision_order& order, const heard& so_far,
                           const std::string& image_id, const message::Result& result, const std::string& last_entry) {
  enum outcome { none, success, failure, terminated, timeout, evicted = 8 };
  auto app_id = part(so_far, 0);
  auto builder = part(so_far, 1);
  auto after = so_far.at == at_joined ? poll_after(so_far) : milliseconds{0};
  if (result.status() == success)
    return ask_create(who, order, app_id, image_id);
  auto cause = who.name + ": the image " + order.spec->image;
  if (so_far.elapsed >= builds_within)
    return failed(errc::provision_failed, cause + " was not built in time");
  if (result.status() == none)
    return ask{join_image(who, image_id, last_entry), after, at_joined, carry({app_id, builder, image_id, last_entry})};
  if (result.status() == terminated)
    return ask_image(who, order, app_id, builder, after);
  return failed(result.status() == failure || result.status() == evicted ? errc::provision_refused
                                                                         : errc::provision_failed,
                cause + " was not built: " + without_keys(who, words_of(result)));
}

progress<runtime> on_image(const account& who, const provision_order& order, const heard& so_far) {
  constexpr std::string_view doing = "asking for the image";
  auto found = read<message::Image>(*so_far.reply);
  if (said(so_far, rpc_code::invalid_argument) || said(so_far, rpc_code::not_found))
    return failure_in(who, stage::creating, doing, *so_far.reply); // it is the specification that is wrong
  if (!found)
    return unread(who, stage::looking, doing, *so_far.reply);
  if (found->image_id().empty())
    return not_understood(who, stage::looking, doing, "the answer names none");
  return on_build(who, order, so_far, found->image_id(), found->result(), {});
}

progress<runtime> on_joined(const account& who, const provision_order& order, const heard& so_far) {
  auto image_id = part(so_far, 2);
  auto last_entry = part(so_far, 3);
  auto seen = read<message::ImageJoin>(*so_far.reply); // all its messages, merged: the last entry and the result count
  if (seen)
    return on_build(who, order, so_far, image_id, seen->result(),
                    seen->entry_id().empty() ? last_entry : seen->entry_id());
  auto why = unread(who, stage::looking, "waiting for the image", *so_far.reply);
  auto after = after_of(so_far);
  if (why.code != errc::provider_unavailable && why.code != errc::rate_limited)
    return why;
  if (so_far.elapsed + after > builds_within)
    return why;
  return ask{join_image(who, image_id, last_entry), after, at_joined,
             carry({part(so_far, 0), part(so_far, 1), image_id, last_entry})};
}

// -- from the create on ---------------------------------------------------------------------------

/// Its id, and where it was said to be reached.
ask look(const account& who, const std::string& id, const runtime* found = nullptr, milliseconds after = {}) {
  if (!found)
    return ask{tunnels(who, id, held_for), after, at_tunnels, carry({id})};
  return ask{poll(who, id), after, at_polled, carry({id, found->where.host, std::to_string(found->where.port)})};
}

runtime carried_runtime(const account& who, const heard& so_far, std::uint16_t port) {
  google::protobuf::RepeatedPtrField<message::Tunnel> kept;
  auto& tunnel = *kept.Add();
  tunnel.set_container_port(port);
  tunnel.set_host(part(so_far, 1));
  tunnel.set_port(static_cast<std::uint32_t>(std::stoul("0" + part(so_far, 2))));
  return reached(who, part(so_far, 0), kept, port).value_or(runtime{});
}

progress<runtime> on_created(const account& who, const provision_order& order, const heard& so_far) {
  constexpr std::string_view doing = "creating a sandbox";
  if (said(so_far, rpc_code::already_exists)) // its name is of this attempt alone: it is what an earlier send made
    return ask{named(who, name_of(order.stamp)), milliseconds{0}, at_named};
  auto made = read<message::Created>(*so_far.reply);
  if (!made)
    return unread(who, stage::creating, doing, *so_far.reply);
  if (made->sandbox_id().empty())
    return not_understood(who, stage::created, doing, "the answer names no sandbox");
  auto found = reached(who, made->sandbox_id(), made->tunnels(), order.spec->port);
  return look(who, made->sandbox_id(), found ? &*found : nullptr);
}

progress<runtime> on_named(const account& who, const heard& so_far) {
  auto found = read<message::Named>(*so_far.reply);
  if (found && !found->sandbox_id().empty())
    return look(who, found->sandbox_id());
  return unread(who, stage::created, "looking for the sandbox that exists already", *so_far.reply);
}

progress<runtime> on_ended(const account& who, const heard& so_far) {
  auto came = ended(who, so_far, builds_within + boots_within + ends_within);
  auto cause = part(so_far, 1);
  if (std::holds_alternative<absent>(came))
    return failed(errc::provision_failed, cause);
  if (auto* next = std::get_if<ask>(&came))
    return std::move(*next);
  return failed(errc::create_unknown, cause + "; and then: " + std::get<failure>(came).cause);
}

/// At its tunnels, or at whether it runs.
progress<runtime> on_sandbox(const account& who, const provision_order& order, const heard& so_far) {
  auto id = part(so_far, 0);
  constexpr milliseconds until = builds_within + boots_within;
  auto after = after_of(so_far);
  if (said(so_far, rpc_code::not_found))
    return failed(errc::provision_failed, who.name + ": " + id + " disappeared before it could be used");
  if (so_far.at == at_polled) {
    if (auto seen = read<message::Waited>(*so_far.reply)) {
      auto found = carried_runtime(who, so_far, order.spec->port);
      found.session_key = order.session_key;
      if (is_over(seen->result()))
        return failed(errc::provision_failed,
                      who.name + ": " + id + " ended: " + without_keys(who, words_of(seen->result())));
      return found;
    }
  } else if (auto seen = read<message::Tunnels>(*so_far.reply)) {
    if (auto found = reached(who, id, seen->tunnels(), order.spec->port))
      return look(who, id, &*found);
    if (so_far.elapsed + after > until) // what does not come up is ended before we say so
      return end_it(who, id, who.name + ": " + id + " got no tunnel in time");
    return look(who, id, nullptr, after);
  }
  if (refuses_us(answer_of(*so_far.reply)) || so_far.elapsed + after > until)
    return unread(who, stage::created, "waiting for " + id, *so_far.reply);
  return look(who, id, nullptr, after);
}

progress<runtime> provision(const account& who, const provision_order& order, const heard& so_far) {
  if (!so_far.reply) {
    if (order.max_lifetime && *order.max_lifetime > lifetime_max)
      return failed(errc::capability_missing, "policy.max_lifetime: modal ends a sandbox after 24h");
    return ask{app(who, true), milliseconds{0}, at_app};
  }
  switch (so_far.at) {
    case at_app: return on_app(who, order, so_far);
    case at_environment: return on_environment(who, order, so_far);
    case at_image: return on_image(who, order, so_far);
    case at_joined: return on_joined(who, order, so_far);
    case at_created: return on_created(who, order, so_far);
    case at_named: return on_named(who, so_far);
    case at_terminated:
    case at_vanishing:
    case at_renewed: return on_ended(who, so_far);
    default: return on_sandbox(who, order, so_far);
  }
}

// -- looking --------------------------------------------------------------------------------------

/// The question for the page after `before`, once the app is known.
ask ask_page(const account& who, const std::string& app_id,
             const std::vector<std::pair<std::string, std::string>>& tags, std::string_view before) {
  return ask{list(who, app_id, tags, before), milliseconds{0}, at_listed, carry({app_id})};
}

progress<sighting> sought(const account& who, const provision_order& order, const heard& so_far) {
  constexpr std::string_view doing = "looking for a sandbox";
  auto page = read<message::Page>(*so_far.reply);
  if (!page)
    return unread(who, stage::looking, doing, *so_far.reply);
  if (page->sandboxes().empty()) // only that is the end: pages are as long as the provider likes
    return sighting{absent{}};
  for (const auto& each : page->sandboxes())
    if (bears(each, pairs_of(order.stamp))) {
      auto found = reached(who, each.id(), each.tunnels(), order.spec->port);
      if (!found)
        return ask{tunnels(who, each.id(), observe_held_for), milliseconds{0}, at_tunnels, carry({each.id()})};
      found->session_key = order.session_key;
      return sighting{std::move(*found)};
    }
  auto before = before_of(*page);
  if (before.empty() || so_far.asked >= pages_max)
    return not_understood(who, stage::looking, doing, "the list does not end");
  return ask_page(who, part(so_far, 0), pairs_of(order.stamp), before);
}

progress<sighting> observe(const account& who, const provision_order& order, const heard& so_far) {
  if (!so_far.reply)
    return ask{app(who, false), milliseconds{0}, at_app};
  if (so_far.at == at_listed)
    return sought(who, order, so_far);
  if (said(so_far, rpc_code::not_found)) // the app, and with it all its sandboxes; or this one
    return sighting{absent{}};
  if (so_far.at == at_app) {
    auto found = read<message::App>(*so_far.reply);
    if (!found)
      return unread(who, stage::looking, "asking for its app", *so_far.reply);
    if (found->app_id().empty())
      return not_understood(who, stage::looking, "asking for its app", "the answer names none");
    return ask_page(who, found->app_id(), pairs_of(order.stamp), {});
  }
  // What is there and cannot be reached is told as well: whoever asked decides.
  runtime found;
  found.ref = part(so_far, 0);
  if (auto seen = read<message::Tunnels>(*so_far.reply))
    found = reached(who, found.ref, seen->tunnels(), order.spec->port).value_or(found);
  else
    return unread(who, stage::looking, "looking for a sandbox", *so_far.reply);
  found.session_key = order.session_key;
  return sighting{std::move(found)};
}

/// The cursor is the app and where the page begins.
progress<listing> list_all(const account& who, const list_order& order, const heard& so_far) {
  std::vector<std::pair<std::string, std::string>> ours{{std::string{label_installation}, order.installation.text}};
  if (!so_far.reply && order.cursor.empty())
    return ask{app(who, false), milliseconds{0}, at_app};
  if (!so_far.reply)
    return ask_page(who, carried_part(order.cursor, 0), ours, carried_part(order.cursor, 1));
  if (so_far.at == at_app) {
    if (said(so_far, rpc_code::not_found))
      return listing{};
    auto found = read<message::App>(*so_far.reply);
    if (!found)
      return unread(who, stage::looking, "asking for its app", *so_far.reply);
    if (found->app_id().empty())
      return not_understood(who, stage::looking, "asking for its app", "the answer names none");
    return ask_page(who, found->app_id(), ours, {});
  }
  auto page = read<message::Page>(*so_far.reply);
  if (!page)
    return unread(who, stage::looking, "listing sandboxes", *so_far.reply);
  listing found;
  for (const auto& each : page->sandboxes()) {
    if (!bears(each, ours))
      continue;
    auto number = tag_of(each, label_attempt);
    found.items.push_back({each.id(), tag_of(each, label_sandbox),
                           static_cast<attempt>(std::strtoul(number.c_str(), nullptr, 10)),
                           std::to_string(each.created_at()), "running"});
  }
  if (page->sandboxes().empty())
    return found;
  auto before = before_of(*page);
  if (before.empty())
    return not_understood(who, stage::looking, "listing sandboxes", "the list cannot go on");
  found.next = std::string{std::string_view{carry({part(so_far, 0), before})}};
  return found;
}

// -- before anything is created -------------------------------------------------------------------

/// The token that newer calls ask for; its refusal is the refusal of the credential.
progress<proof> authenticate(const account& who, const no_order&, const heard& so_far) {
  constexpr std::string_view doing = "proving the token";
  if (!so_far.reply)
    return ask{unproven_call(who, "AuthTokenGet", message::Empty{})};
  auto given = read<message::AuthToken>(*so_far.reply);
  if (!given)
    return unread(who, stage::proving, doing, *so_far.reply);
  if (given->token().empty())
    return not_understood(who, stage::proving, doing, "the answer holds no token");
  proof proven;
  proven.until = renew_at(given->token());
  proven.tokens.emplace_back(std::string{auth_token}, secret{std::move(*given->mutable_token())});
  return proven;
}

expected<void> validate(const runtime_spec& spec) {
  auto refuse = [](errc code, std::string cause) { return failed(code, std::move(cause)); };
  if (spec.port == 0)
    return refuse(errc::spec_invalid, "runtime.port: modal needs the port that the nested server listens on");
  if (spec.image.empty())
    return refuse(errc::spec_invalid, "runtime.image: modal needs a registry's image, or the id of one, im-…");
  if (std::ranges::any_of(spec.image, [](unsigned char c) { return c <= ' '; })) // it becomes a line of a Dockerfile
    return refuse(errc::spec_invalid, "runtime.image: it holds a blank");
  if (!spec.command.empty() && spec.command.front().empty())
    return refuse(errc::spec_invalid, "runtime.command: its first word is empty");
  if (!spec.url.empty())
    return refuse(errc::capability_missing, "runtime.url: only the static provider takes an address");
  if (!spec.session_key.empty())
    return refuse(errc::capability_missing, "runtime.session_key: only the static provider takes one");
  if (auto fine = check_options("modal", option_rows, spec.options); !fine)
    return fine;
  auto folder = nlohmann::json::parse(spec.options, nullptr, false).value("workdir", "/");
  if (!folder.starts_with('/'))
    return refuse(errc::spec_invalid, "runtime.options: `workdir` is not absolute");
  constexpr double cpu_least = 0.001, cpu_most = 64; // thousandths of a core are counted
  if (spec.cpu && !(*spec.cpu >= cpu_least && *spec.cpu <= cpu_most))
    return refuse(errc::capability_missing, "runtime.resources.cpu: modal rents from 0.001 to 64 cores");
  constexpr std::uint64_t mib = std::uint64_t{1} << 20U, memory_most = 1'048'576; // MiB: 1 TiB
  if (spec.memory_bytes &&
      (*spec.memory_bytes == 0 || *spec.memory_bytes % mib != 0 || *spec.memory_bytes / mib > memory_most))
    return refuse(errc::capability_missing, "runtime.resources.memory: modal rents whole MiB, up to 1 TiB");
  return {};
}

} // namespace

const provider& modal_provider() {
  static const provider self{
    .kind = "modal",
    .summary = "Modal sandboxes by gRPC; runtime.image is a registry's image or an im-… id",
    .can = {.command = true, .image = true, .resources = true, .enumerates = true},
    .undo = compensation::destroy,
    .create_settles = settles,
    .provision_within = builds_within + boots_within + ends_within + create_within,
    .destroy_within = ends_within + call_within,
    .fields = fields,
    .validate = validate,
    .authenticate = authenticate,
    .provision = provision,
    .observe = observe,
    .destroy = destroy,
    .list = list_all,
    .exec = run_command,
  };
  return self;
}

} // namespace nestor::providers
