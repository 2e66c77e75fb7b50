// The idempotent contract of architecture §1 and §4: every POST is an upsert answered with 200 `{"status":"ok"}`.
//
//   POST   /api/settings                    the whole object, replaced
//   POST   /api/add-git-providers           {"provider","token","host"?,"user_id"?}: one git provider
//   POST   /api/secrets                     {"name","value","description"?}
//   DELETE /api/add-git-providers/{name}, /api/secrets/{name}      200, or 404 {"error"}
//   GET    /api/settings                    {} before the first POST. A member that looks secret is shown as
//                                           "**********" (or "" when empty), and at the top level with "<name>_set"
//   GET    /api/git-providers               {"providers":[{"provider","host","user_id"}]}
//   GET    /api/secrets                     {"secrets":[{"name","description"}]}
//
// The GETs are optional: with `reads` off they are no routes, and a client has nothing but the answers to go by.
// A refused git token is 401 in the V0 server's form; a body of another shape is 422.
#include <nested_server/exchange.hpp>

#include <algorithm>
#include <array>

namespace nestor::nested_server {
namespace {

constexpr std::string_view mask = "**********";
constexpr std::string_view flag_suffix = "_set";

/// Names whose values a specification treats as secret, wherever they stand.
bool looks_secret(std::string_view name) {
  return name == "password" || name == "api_key" || name == "token" || name.ends_with("_key") ||
         name.ends_with("_token") || name.ends_with("_secret") || name.ends_with("_password");
}

void append_masked(wiped_string& out, const wiped_json& value, bool hide);

void append_masked_object(wiped_string& out, const wiped_json& object, bool hide, bool flags) {
  out += '{';
  for (const auto& [name, value] : object.get_ref<const wiped_json::object_t&>()) {
    bool secret_text = value.is_string() && (hide || looks_secret(name));
    append_name(out, name);
    append_masked(out, value, secret_text || hide || name == "env");
    if (flags && secret_text) {
      wiped_string flag{name};
      flag += flag_suffix;
      append_name(out, flag);
      out += blank(text_of(value)) ? "false" : "true";
    }
  }
  out += '}';
}

/// `hide`: every text within is a secret.
void append_masked(wiped_string& out, const wiped_json& value, bool hide) {
  if (value.is_object()) {
    append_masked_object(out, value, hide, false);
  } else if (value.is_array()) {
    out += '[';
    for (std::size_t i = 0; i < value.size(); ++i) {
      out += i == 0 ? "" : ",";
      append_masked(out, value[i], hide);
    }
    out += ']';
  } else if (hide && value.is_string()) {
    append_text(out, blank(text_of(value)) ? std::string_view{} : mask);
  } else {
    append(out, value);
  }
}

void done(exchange& x) {
  x.answer(200, R"({"status":"ok"})");
}

bool readable(exchange& x) {
  if (!x.options.reads)
    x.answer(404, R"({"detail":"Not Found"})");
  return x.options.reads;
}

void store_settings(exchange& x) {
  auto given = x.body();
  if (!given)
    return;
  if (!given->is_object()) {
    auto faults = x.no_faults();
    faults.add("dict_type", whole_body, "Input should be a valid dictionary", *given);
    return x.refuse(faults);
  }
  x.state.settings = std::move(*given);
  done(x);
}

void show_settings(exchange& x) {
  if (!readable(x))
    return;
  wiped_string out;
  if (x.state.settings)
    append_masked_object(out, *x.state.settings, false, true);
  else
    out = "{}";
  x.answer(200, std::move(out));
}

using enum field_kind;
constexpr std::array git_provider_rules{
  field_rule{"provider", text, false, true},
  field_rule{"token", text, false, true},
  field_rule{"host", text},
  field_rule{"user_id", text},
};
constexpr std::array secret_rules{
  field_rule{"name", text, false, true},
  field_rule{"value", text, false, true},
  field_rule{"description", text},
};

void store_git_provider(exchange& x) {
  auto given = x.body(git_provider_rules);
  if (!given)
    return;
  std::string name{text_member(*given, "provider")};
  auto token = text_member(*given, "token");
  if (token_refused(x, token))
    return refuse_token(x, name);
  x.state.git_providers[name] = {wiped_string{token}, optional_text_member(*given, "user_id"),
                                 optional_text_member(*given, "host")};
  done(x);
}

void list_git_providers(exchange& x) {
  if (!readable(x))
    return;
  wiped_string out = "{\"providers\":[";
  for (const auto& [name, entry] : x.state.git_providers) {
    out += out.back() == '[' ? "{" : ",{";
    append_name(out, "provider");
    append_text(out, name);
    append_name(out, "host");
    append_text_or_null(out, entry.host);
    append_name(out, "user_id");
    append_text_or_null(out, entry.user_id);
    out += '}';
  }
  out += "]}";
  x.answer(200, std::move(out));
}

void store_secret(exchange& x) {
  auto given = x.body(secret_rules);
  if (!given)
    return;
  x.state.secrets[std::string{text_member(*given, "name")}] = {wiped_string{text_member(*given, "value")},
                                                               std::string{text_member(*given, "description")}};
  done(x);
}

void list_secrets(exchange& x) {
  if (!readable(x))
    return;
  wiped_string out = "{\"secrets\":[";
  for (const auto& [name, entry] : x.state.secrets) {
    out += out.back() == '[' ? "{" : ",{";
    append_name(out, "name");
    append_text(out, name);
    append_name(out, "description");
    append_text(out, entry.description);
    out += '}';
  }
  out += "]}";
  x.answer(200, std::move(out));
}

template <class Map>
void remove(exchange& x, Map& from) {
  auto at = from.find(x.parameter);
  if (at == from.end())
    return x.say(404, "error", std::string{x.parameter} + " not found");
  from.erase(at);
  done(x);
}

void delete_git_provider(exchange& x) {
  remove(x, x.state.git_providers);
}
void delete_secret(exchange& x) {
  remove(x, x.state.secrets);
}

using enum http::method;
constexpr std::array routes{
  route{post, "POST /api/settings", store_settings},
  route{post, "POST /api/add-git-providers", store_git_provider},
  route{post, "POST /api/secrets", store_secret},
  route{get, "GET /api/settings", show_settings},
  route{get, "GET /api/git-providers", list_git_providers},
  route{get, "GET /api/secrets", list_secrets},
  route{get, "GET /alive", answer_alive},
  route{get, "GET /server_info", answer_server_info},
  route{del, "DELETE /api/add-git-providers/{name}", delete_git_provider},
  route{del, "DELETE /api/secrets/{name}", delete_secret},
};

} // namespace

const dialect_model& generic_model() {
  static constexpr dialect_model self{.name = "generic", .routes = routes, .admit = admit_with_key};
  return self;
}

} // namespace nestor::nested_server
