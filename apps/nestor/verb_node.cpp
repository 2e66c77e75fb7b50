// `nestor node …` and `nestor token …`: a running node, and who may ask it.
#include "client_show.hpp"
#include "terminal.hpp"
#include "verbs.hpp"

#include <nestor/http/url.hpp>

#include <iostream>

namespace nestor::cli {
namespace {

int show_node(const api_answer& answer, const client_verb& o) {
  if (!answer.ok())
    return complain(answer);
  auto about = answer.json();
  if (show_whole(about, o))
    return done;
  std::vector<std::vector<std::string>> rows{{"version", cell(about, "version")},
                                             {"installation", cell(about, "installation")},
                                             {"takes new sandboxes", about["accepting"].get<bool>() ? "yes" : "no"},
                                             {"clients connected", cell(about, "connections")}};
  for (const auto& [word, count] : about["sandboxes"].items())
    if (count != 0)
      rows.push_back({word, count.dump()});
  if (about["doubt"].is_string())
    rows.push_back({"sweeps end nothing", cell(about, "doubt") + " (nestor node confirm-restore)"});
  show_table(rows);
  return done;
}

int show_keys(const api_answer& answer, const client_verb& o) {
  if (!answer.ok())
    return complain(answer);
  auto keys = answer.json();
  if (show_whole(keys, o))
    return done;
  std::vector<std::vector<std::string>> rows{{"KEY", "SEALS NEW RECORDS", "RECORDS"}};
  for (const auto& each : keys["items"])
    rows.push_back({cell(each, "id"), each["current"].get<bool>() ? "yes" : "no", cell(each, "records")});
  show_table(rows);
  if (keys["rotating"].get<bool>())
    std::cout << "rotating: " << cell(keys, "resealed") << " records are sealed anew so far\n";
  return done;
}

} // namespace

int run_node_status(const client_verb& o) {
  api_client node{o.node};
  return show_node(node.ask({http::method::get, "/v1/node"}), o);
}

int run_node_drain(const client_verb& o) {
  api_client node{o.node};
  return show_node(node.ask({http::method::post, "/v1/node/drain"}), o);
}

int run_node_confirm(const client_verb& o) {
  api_client node{o.node};
  auto about = node.ask({http::method::get, "/v1/node"});
  if (!about.ok())
    return complain(about);
  auto shown = about.json();
  if (shown["doubt"].is_string() && !o.yes) {
    std::cerr
      << "The journal: " << printable(cell(shown, "doubt"))
      << ".\nWhat the providers hold under its label and it does not explain ends after this, also what a later "
         "state of it or the original made (nestor leak audit lists it).\nType yes when the original is gone "
         "for good: ";
    std::string word;
    if (!std::getline(std::cin, word) || word != "yes")
      return refused;
  }
  return show_node(node.ask({http::method::post, "/v1/node/confirm-restore"}), o);
}

int run_keys_list(const client_verb& o) {
  api_client node{o.node};
  return show_keys(node.ask({http::method::get, "/v1/keys"}), o);
}

int run_keys_rotate(const client_verb& o) {
  api_client node{o.node};
  return show_keys(node.ask({http::method::post, "/v1/keys/rotate"}), o);
}

int run_token_create(const client_verb& o) {
  api_client node{o.node};
  ordered_json wish{{"tenant", o.tenant}, {"role", o.role}, {"note", o.note}};
  auto text = wish.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  auto made = node.ask({http::method::post, "/v1/tokens", wiped_string{text}, "application/json"});
  if (!made.ok())
    return complain(made);
  auto token = made.json();
  if (show_whole(token, o))
    return done;
  std::cerr << "Told this once; keep it where only its user can read it. Its id is " << cell(token, "id") << ".\n";
  std::cout << cell(token, "token") << '\n';
  return done;
}

int run_token_list(const client_verb& o) {
  api_client node{o.node};
  auto answer = node.ask({http::method::get, "/v1/tokens"});
  if (!answer.ok())
    return complain(answer);
  auto all = answer.json();
  if (show_whole(all, o))
    return done;
  std::vector<std::vector<std::string>> rows{{"ID", "TENANT", "ROLE", "CREATED", "NOTE"}};
  for (const auto& each : all["items"])
    rows.push_back(
      {cell(each, "id"), cell(each, "tenant"), cell(each, "role"), cell(each, "created_at"), cell(each, "note")});
  show_table(rows);
  return done;
}

int run_token_revoke(const client_verb& o) {
  api_client node{o.node};
  auto gone = node.ask({http::method::del, "/v1/tokens/" + http::encode_segment(o.id)});
  return gone.ok() ? static_cast<int>(done) : complain(gone);
}

} // namespace nestor::cli
