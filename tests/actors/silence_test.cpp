// Messages are printed by CAF itself, in its logs and in the errors of unexpected ones: whatever a message holds, what
// CAF makes of it tells no secret.
#include <support/canary.hpp>
#include <support/test_node.hpp>

#include <caf/deep_to_string.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::actors;
using namespace nestor::tests;

namespace {

/// An empty one, for messages without a place for a secret.
template <class Message>
Message full_of_secrets(Message message) {
  return message;
}

secret a_secret() {
  return secret::copy_of(std::string{canary} + "-secret");
}

std::shared_ptr<const sandbox_spec> a_spec() {
  return std::make_shared<sandbox_spec>(canary_spec({.provider = "static"}));
}

http::response an_answer() {
  http::response answer;
  answer.status = 422;
  answer.headers.emplace_back("X-Echo", std::string{canary});
  answer.body = wiped_string{canary};
  return answer;
}

create_sandbox full_of_secrets(create_sandbox) {
  return {a_spec()};
}
configure_sandbox full_of_secrets(configure_sandbox) {
  return {{}, canary_configuration()};
}
actors::access full_of_secrets(actors::access) {
  return {"http://127.0.0.1:1", {{"X-Session-API-Key", wiped_string{canary}}}, 1, std::nullopt};
}
new_configuration full_of_secrets(new_configuration) {
  return {2, a_spec()};
}
do_provision full_of_secrets(do_provision) {
  return {{{}, a_spec()->runtime, a_secret(), std::nullopt, std::nullopt}};
}
credential_proven full_of_secrets(credential_proven) {
  auto account = std::make_shared<providers::account>();
  account->secrets.emplace_back("api_key", a_secret());
  account->proven.tokens.emplace_back("token", a_secret());
  return {account, std::nullopt};
}
records_loaded full_of_secrets(records_loaded) {
  auto wanted = std::make_shared<wanted_record>(wanted_record{{}, 1, a_spec()});
  records_loaded loaded;
  loaded.found.emplace().wanted.push_back(wanted);
  return loaded;
}
do_destroy full_of_secrets(do_destroy) {
  auto gone = std::make_shared<providers::runtime>();
  gone->session_key = a_secret();
  gone->headers.push_back({"X-Preview-Token", wiped_string{canary}});
  return {gone, {{}, {}, 1}};
}
io_done full_of_secrets(io_done) {
  return {1, io_reply{http_reply{an_answer()}}};
}
process_gone full_of_secrets(process_gone) {
  return {1, process_absent{1, std::string{canary} + " was the key"}}; // not redacted yet
}
wanted_loaded full_of_secrets(wanted_loaded) {
  return {1, std::make_shared<wanted_record>(wanted_record{{}, 1, a_spec()})};
}

template <class Message>
void check_silent(const char* name) {
  INFO(name);
  auto message = full_of_secrets(Message{});
  CHECK(canary_in(caf::deep_to_string(message)) == "");
  CHECK(canary_in(to_string(caf::make_message(message))) == "");
}

} // namespace

TEST_CASE("whatever a message holds, CAF's own rendering of it tells no secret") {
#define NESTOR_CHECK_SILENT(message) check_silent<actors::message>(#message);
  NESTOR_LOCAL_MESSAGES(NESTOR_CHECK_SILENT)
#undef NESTOR_CHECK_SILENT
}
