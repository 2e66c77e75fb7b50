// Tokens, apps and images: what there is before there is a sandbox.
#include <emulator/internal/modal_cloud.hpp>

#include <algorithm>

namespace nestor::emulator {
namespace {

using std::chrono::seconds;

constexpr seconds token_life{1'200};
constexpr milliseconds build_takes{200};
constexpr milliseconds join_held_at_most{55'000};
enum : int { success = 1, failed = 2 };

std::string restricted_key(const std::string& key) {
  return key.substr(0, key.size() - std::min<std::size_t>(8, key.size())) + "deadbeef";
}

std::string base64_url(std::string_view bytes) {
  auto text = base64(bytes);
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  while (text.ends_with('='))
    text.pop_back();
  return text;
}

/// "FROM debian:12" names it; a layer upon another has that one's.
std::string reference_of(const message::ImageDefinition& d) {
  constexpr std::string_view from = "FROM ";
  for (const auto& line : d.dockerfile_commands())
    if (line.starts_with(from))
      return line.substr(from.size());
  return {};
}

} // namespace

/// The key is the token's id and its secret, "ak-…:as-…"; without a colon it is both.
bool modal_cloud::admitted(const call_ref& c, const method& m) {
  auto colon = options_.key.find(':');
  auto id = options_.key.substr(0, colon);
  auto secret = colon == std::string::npos ? id : options_.key.substr(colon + 1);
  auto given = c->header("x-modal-token-secret");
  bool restricted = given == restricted_key(secret);
  if (c->header("x-modal-token-id") != id || (given != secret && !restricted))
    return refuse(c, rpc::unauthenticated, "Token ID is malformed"), false;
  if (c->header("x-modal-client-type").empty() || c->header("x-modal-client-version") < "1")
    return refuse(c, rpc::failed_precondition, "The client version is no longer supported"), false;
  auto token = tokens_.find(c->header("x-modal-auth-token"));
  if (m.proven && (token == tokens_.end() || token->second <= world_.time.now()))
    return refuse(c, rpc::unauthenticated, "Auth token is missing or expired"), false;
  if (restricted && m.name != "AuthTokenGet" && m.name != "ClientHello")
    return refuse(c, rpc::permission_denied, "The token may not do this"), false;
  return true;
}

std::string modal_cloud::new_jwt(seconds life) {
  auto now = wall_ms() / 1'000;
  json claims{{"iat", now}, {"exp", now + life.count()}, {"jti", hex_id(seed_, 16)}};
  return base64_url(R"({"alg":"HS256","typ":"JWT"})") + "." + base64_url(claims.dump()) + "." +
         base64_url(hex_id(seed_, 32));
}

void modal_cloud::auth_token(const call_ref& c) {
  message::AuthToken reply;
  reply.set_token(new_jwt(token_life));
  tokens_[reply.token()] = world_.time.now() + token_life;
  answer(c, reply);
}

void modal_cloud::hello(const call_ref& c) {
  answer(c, message::Hello{});
}

void modal_cloud::app(const call_ref& c) {
  auto r = read<message::AppRequest>(c);
  if (!r)
    return;
  auto at = apps_.find(r->app_name());
  if (at == apps_.end() && r->creation() == 0)
    return refuse(c, rpc::not_found, "App '" + r->app_name() + "' not found");
  if (at == apps_.end())
    at = apps_.emplace(r->app_name(), "ap-" + word_id(seed_, 22)).first;
  message::App reply;
  reply.set_app_id(at->second);
  answer(c, reply);
}

void modal_cloud::environment(const call_ref& c) {
  auto r = read<message::EnvironmentRequest>(c);
  if (!r)
    return;
  message::Environment reply;
  reply.set_environment_id("en-emulated");
  reply.mutable_metadata()->set_name(r->name().empty() ? "main" : r->name());
  reply.mutable_metadata()->mutable_settings()->set_image_builder_version("2025.06");
  answer(c, reply);
}

modal_image* modal_cloud::image_named(const std::string& id) {
  auto at = std::ranges::find_if(images_, [&](const auto& each) { return each.second.id == id; });
  return at == images_.end() ? nullptr : &at->second;
}

/// The same definition is the same image. It is built by and by.
void modal_cloud::image(const call_ref& c) {
  auto r = read<message::ImageRequest>(c);
  if (!r)
    return;
  if (r->image().dockerfile_commands().empty() || r->builder_version().empty())
    return refuse(c, rpc::invalid_argument, "An image needs commands and a builder version");
  auto key = r->image().SerializeAsString();
  auto [at, fresh] = images_.try_emplace(key);
  auto& i = at->second;
  if (fresh) {
    i.id = "im-" + word_id(seed_, 22);
    const auto* base = r->image().base_images().empty() ? nullptr : image_named(r->image().base_images(0).image_id());
    i.reference = base ? base->reference : reference_of(r->image());
    i.there = image_exists(i.reference);
    world_.time.after(build_takes, [this, key] {
      images_[key].built = true;
      for (auto& told : std::exchange(images_[key].waiting, {}))
        told();
    });
  }
  message::Image reply;
  reply.set_image_id(i.id);
  if (i.built && i.there)
    reply.mutable_result()->set_status(success);
  answer(c, reply);
}

void modal_cloud::join_image(const call_ref& c) {
  auto r = read<message::ImageJoinRequest>(c);
  auto* i = r ? image_named(r->image_id()) : nullptr;
  if (!i)
    return r ? refuse(c, rpc::not_found, "Image not found") : void();
  http::response head;
  head.status = 200;
  head.headers.emplace_back("grpc-status", "0");
  c->back->begin(head);
  if (r->last_entry_id().empty()) {
    message::ImageJoin log;
    log.set_entry_id("1-0");
    log.add_task_logs()->set_data("=> Step 0: FROM " + i->reference + "\n");
    c->back->more(log.SerializeAsString());
  }
  auto over = std::make_shared<bool>(false);
  auto tell = [this, c, id = i->id, over](bool in_time) {
    auto* now = image_named(id);
    if (std::exchange(*over, true) || !now)
      return;
    message::ImageJoin last;
    last.set_entry_id("2-0");
    if (in_time) {
      last.mutable_result()->set_status(now->there ? success : failed);
      last.mutable_result()->set_exception(now->there ? "" : "manifest for " + now->reference + " not found");
      last.set_eof(true);
      c->back->more(last.SerializeAsString());
    }
    c->back->end();
  };
  if (i->built)
    return tell(true);
  i->waiting.emplace_back([tell]() mutable { tell(true); });
  auto asked = std::chrono::ceil<milliseconds>(std::chrono::duration<float>{std::max(r->timeout(), 0.0F)});
  world_.time.after(std::min(asked, join_held_at_most), [tell]() mutable { tell(false); });
}

} // namespace nestor::emulator
