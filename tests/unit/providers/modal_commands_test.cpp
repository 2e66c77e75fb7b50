// Modal's commands as transcripts: the way to the worker, the start that is sent once, how its end is learnt.
#include "conversation.hpp"

#include <nestor_messages/modal.pb.h>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::tests;
namespace message = nestor::modal;

namespace {

const std::string newer = "sb-01JABCDEFGHJKMNPQRSTVWXYZ0";
const std::string older = "sb-aBcDeFgHiJkLmNoPqRsTuV";
const std::string control = "/modal.client.ModalClient/";
const std::string router = "/modal.task_command_router.TaskCommandRouter/";

const provider& self() {
  return *of_kind("modal");
}

account some_account() {
  auto who = account_of(self());
  who.proven.tokens = {{"auth_token", secret::copy_of("jwt-CANARY-0123456789")}};
  return who;
}

exec_order order_in(const std::string& id, milliseconds within = milliseconds{40'000}) {
  exec_order order;
  order.where.ref = id;
  order.command = "echo hi";
  order.within = within;
  return order;
}

template <class Message>
io_reply is(const Message& answer) {
  return said(0, answer.SerializeAsString());
}
io_reply task() {
  message::TaskId answer;
  answer.set_task_id("ta-1");
  return is(answer);
}
io_reply access(const std::string& token = "jwt-router-1", const std::string& url = "https://wo-1.w.modal.host:4443",
                const std::string& address = "") {
  message::RouterAccess answer;
  answer.set_worker_ipv4_address(address);
  answer.set_jwt(token);
  answer.set_url(url);
  return is(answer);
}
io_reply code(int status) {
  message::ExecStatus answer;
  answer.set_code(status);
  return is(answer);
}
io_reply killed() {
  message::ExecStatus answer;
  answer.set_signal(9);
  return is(answer);
}
/// A stream of several messages, as the seam brings it.
io_reply stream_of(std::initializer_list<std::string> parts) {
  std::string all;
  for (const auto& each : parts) {
    message::ExecOutput one;
    one.set_data(each);
    all += one.SerializeAsString();
  }
  return said(0, all);
}
const io_reply begun = said(0);

struct turn {
  std::string method;
  io_reply reply;
};
using story = std::vector<turn>;

/// The methods that must be asked, in order; the last answers all that follows.
held<observation> hold(const exec_order& order, const story& script) {
  auto who = some_account();
  auto told = converse(
    self().exec, who, order,
    [&](const ask& question, std::size_t n) {
      const auto& now = script.at(std::min(n, script.size() - 1));
      const auto& call = std::get<grpc_call>(question.request);
      INFO("question " << n);
      CHECK(call.method == now.method);
      CHECK_FALSE(carries_key_astray(who, question.request));
      return now.reply;
    },
    "\xff\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f");
  CHECK(told.asked.size() >= script.size());
  return told;
}

story after_access(story rest) {
  story script{{control + "SandboxGetTaskIdV2", task()}, {control + "SandboxGetCommandRouterAccess", access()}};
  script.insert(script.end(), rest.begin(), rest.end());
  return script;
}
story after_start(story rest) {
  auto script = after_access({{router + "TaskExecStart", begun}});
  script.insert(script.end(), rest.begin(), rest.end());
  return script;
}

std::size_t starts_in(const held<observation>& told) {
  std::size_t starts = 0;
  for (const auto& each : told.asked)
    starts += std::get<grpc_call>(each.request).method == router + "TaskExecStart" ? 1 : 0;
  return starts;
}

const grpc_call& call_at(const held<observation>& told, std::size_t index) {
  return std::get<grpc_call>(told.asked.at(index).request);
}

} // namespace

TEST_CASE("modal: a command is begun at its worker's router, which is told nothing of the account's") {
  auto told = hold(order_in(newer), after_start({{router + "TaskExecWait", code(3)},
                                                 {router + "TaskExecStdioRead", stream_of({"a\n", "", "b\n"})},
                                                 {router + "TaskExecStdioRead", stream_of({"!"})}}));
  REQUIRE(told.result());
  CHECK(told.result()->came == verdict::failed);
  CHECK(told.result()->exit_status == 3);
  CHECK(told.result()->output == "a\nb\n");
  CHECK(told.result()->error_output == "!");
  const auto& start = call_at(told, 2);
  CHECK(start.to == endpoint{true, "wo-1.w.modal.host", 4'443, {}});
  CHECK(start.from == address_source::spec);
  REQUIRE(start.metadata.size() == 1);
  CHECK(start.metadata[0].name == "authorization");
  CHECK(start.metadata[0].value == "Bearer jwt-router-1");
  message::ExecRequest request;
  REQUIRE(request.ParseFromArray(start.message.data(), static_cast<int>(start.message.size())));
  CHECK(request.task_id() == "ta-1");
  CHECK(request.exec_id() == "ff010203-0405-4607-8809-0a0b0c0d0e0f");
  CHECK(std::vector<std::string>(request.command_args().begin(), request.command_args().end()) ==
        std::vector<std::string>{"/bin/sh", "-c", "echo hi"});
  CHECK((request.stdout_config() == 1 && request.stderr_config() == 1));
  CHECK(request.timeout_secs() == 40);
}

TEST_CASE("modal: where the control plane tells the worker's address, it is reached there under the URL's name") {
  auto url = "https://wo-1.w.modal.host:4443";
  auto told = hold(order_in(newer), {{control + "SandboxGetTaskIdV2", task()},
                                     {control + "SandboxGetCommandRouterAccess", access("jwt", url, "203.0.113.7")},
                                     {router + "TaskExecStart", begun},
                                     {router + "TaskExecWait", code(0)},
                                     {router + "TaskExecStdioRead", stream_of({"a\n"})},
                                     {router + "TaskExecStdioRead", stream_of({})}});
  REQUIRE(told.result());
  CHECK(told.result()->output == "a\n");
  for (std::size_t each = 2; each < 6; ++each) {
    CHECK(call_at(told, each).via == "203.0.113.7");
    CHECK(call_at(told, each).to.host == "wo-1.w.modal.host");
  }
  CHECK(call_at(told, 1).via.empty());
}

TEST_CASE("modal: a command whose start was not answered is asked after by its name, and not started again") {
  for (auto lost : {said(14), said(4), broke(http::transport_error::reset)}) {
    auto found = hold(order_in(newer), after_access({{router + "TaskExecStart", lost},
                                                     {router + "TaskExecWait", code(0)},
                                                     {router + "TaskExecStdioRead", stream_of({"hi\n"})},
                                                     {router + "TaskExecStdioRead", stream_of({})}}));
    REQUIRE(found.result());
    CHECK(found.result()->came == verdict::ok);
    CHECK(starts_in(found) == 1);
    auto never =
      hold(order_in(newer), after_access({{router + "TaskExecStart", lost}, {router + "TaskExecWait", said(5)}}));
    REQUIRE(never.result());
    CHECK(never.result()->came == verdict::unknown); // it may arrive yet
    CHECK(starts_in(never) == 1);
  }
  auto refused = hold(order_in(newer), after_access({{router + "TaskExecStart", said(3)}}));
  CHECK(refused.why());
}

TEST_CASE("modal: asking how a command goes is repeated, and the router's token is renewed once") {
  auto slow = hold(order_in(newer), after_start({{router + "TaskExecWait", said(4)},
                                                 {router + "TaskExecWait", said(16)},
                                                 {control + "SandboxGetCommandRouterAccess", access("jwt-router-2")},
                                                 {router + "TaskExecWait", said(14)},
                                                 {router + "TaskExecWait", code(0)},
                                                 {router + "TaskExecStdioRead", said(14)},
                                                 {router + "TaskExecStdioRead", stream_of({"all"})},
                                                 {router + "TaskExecStdioRead", stream_of({})}}));
  REQUIRE(slow.result());
  CHECK(slow.result()->came == verdict::ok);
  CHECK(slow.result()->output == "all");
  CHECK(call_at(slow, 6).metadata.at(0).value == "Bearer jwt-router-2");
  auto locked_out = hold(order_in(newer), after_start({{router + "TaskExecWait", said(16)},
                                                       {control + "SandboxGetCommandRouterAccess", access()},
                                                       {router + "TaskExecWait", said(16)}}));
  REQUIRE(locked_out.result());
  CHECK(locked_out.result()->came == verdict::unknown);
  auto silent = hold(order_in(newer), after_start({{router + "TaskExecWait", said(4)}}));
  REQUIRE(silent.result());
  CHECK(silent.result()->came == verdict::unknown);
  CHECK(silent.took >= milliseconds{40'000});
  CHECK(silent.took <= milliseconds{80'000});
}

TEST_CASE("modal: what was killed when its time was up says so, with what it had printed") {
  auto waits = after_start({{router + "TaskExecWait", said(4)}});
  auto order = order_in(newer, milliseconds{100});
  waits.insert(waits.end(), {{router + "TaskExecWait", killed()},
                             {router + "TaskExecStdioRead", stream_of({"half"})},
                             {router + "TaskExecStdioRead", stream_of({})}});
  auto late = hold(order, waits);
  REQUIRE(late.result());
  CHECK(late.result()->came == verdict::failed);
  CHECK_FALSE(late.result()->exit_status);
  CHECK(late.result()->trouble == out_of_time().trouble);
  CHECK(late.result()->output == "half");
  auto early = hold(order_in(newer), after_start({{router + "TaskExecWait", killed()},
                                                  {router + "TaskExecStdioRead", stream_of({})},
                                                  {router + "TaskExecStdioRead", stream_of({})}}));
  REQUIRE(early.result());
  CHECK(early.result()->exit_status == 137);
}

TEST_CASE("modal: output that cannot be read does not change how the command ended") {
  auto told =
    hold(order_in(newer), after_start({{router + "TaskExecWait", code(0)},
                                       {router + "TaskExecStdioRead", grpc_reply{http::transport_error::too_large}}}));
  REQUIRE(told.result());
  CHECK(told.result()->came == verdict::ok);
  CHECK(told.result()->cut);
  CHECK(told.result()->trouble.find("could not be read") != std::string::npos);
}

TEST_CASE("modal: a sandbox that is over runs nothing, and a router that is not spoken to safely is not spoken to") {
  message::TaskId over;
  over.mutable_task_result()->set_status(7);
  for (auto reply : {said(5), is(over)}) {
    auto gone = hold(order_in(newer), {{control + "SandboxGetTaskIdV2", reply}});
    REQUIRE(gone.why());
    CHECK(gone.why()->code == errc::runtime_lost);
  }
  for (auto url : {"http://wo-1.w.modal.host", "wo-1", ""}) {
    auto unsafe = hold(order_in(newer), {{control + "SandboxGetTaskIdV2", task()},
                                         {control + "SandboxGetCommandRouterAccess", access("jwt", url)}});
    CHECK(unsafe.why());
  }
}

TEST_CASE("modal: the older kind's way to its worker has another name") {
  auto told = hold(order_in(older), {{control + "SandboxGetTaskId", task()},
                                     {control + "TaskGetCommandRouterAccess", access()},
                                     {router + "TaskExecStart", begun},
                                     {router + "TaskExecWait", code(0)},
                                     {router + "TaskExecStdioRead", stream_of({})},
                                     {router + "TaskExecStdioRead", stream_of({})}});
  REQUIRE(told.result());
  CHECK(told.result()->came == verdict::ok);
}
