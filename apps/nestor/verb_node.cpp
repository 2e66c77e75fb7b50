// `nestor node …` and `nestor token …`: a running node, and who may ask it.
#include "client_show.hpp"
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
  show_table(rows);
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
