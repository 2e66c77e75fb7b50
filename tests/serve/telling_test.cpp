// What a node tells its operator while a sandbox lives: output of the runtime, the log, the audit log, traces. Every
// secret is a canary, and what is told is searched for it.
#include "serve/serving.hpp"
#include "support/canary.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <sys/stat.h>

using namespace nestor::tests;
using nlohmann::json;

namespace {

const std::string secret_text = "CANARY-51fe-\"telling\"/value";
const std::string traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A server that prints what it should not, then serves.
std::string talking_spec(const scratch_folder& scratch, const std::string& name) {
  auto file = scratch.write("printed", "it begins\npush " + secret_text + "\n");
  auto words = "cat " + file + "; echo \"key $SESSION_API_KEY\"; printf 'half a line'; exec " + server_binary();
  return json{{"name", name},
              {"runtime", {{"command", {"/bin/sh", "-c", words + " >/dev/null 2>&1"}}}},
              {"configuration", {{"secrets", {{"DEPLOY_KEY", {{"$literal", secret_text}}}}}}}}
    .dump();
}

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> all;
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('\n', at), text.size());
    all.push_back(json::parse(text.substr(at, end - at), nullptr, false));
    at = end + 1;
  }
  return all;
}

/// A collector: one HTTP server that answers every request with 200 and keeps what it was sent.
class collector {
public:
  collector() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port_ = ntohs(at.sin_port);
  }
  ~collector() { ::close(listener_); }
  collector(const collector&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1/traces"; }
  /// The next request, whole.
  std::string next() {
    timeval patience{60, 0};
    ::setsockopt(listener_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int from = ::accept(listener_, nullptr, nullptr);
    if (from < 0)
      return {};
    ::setsockopt(from, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::string got;
    std::array<char, 65'536> chunk{};
    for (std::size_t whole = std::string::npos; got.size() < whole;) {
      auto count = ::recv(from, chunk.data(), chunk.size(), 0);
      if (count <= 0)
        break;
      got.append(chunk.data(), static_cast<std::size_t>(count));
      auto head = got.find("\r\n\r\n");
      if (auto at = got.find("Content-Length: "); head != std::string::npos && at < head)
        whole = head + 4 + std::stoul(got.substr(at + 16));
    }
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    (void)::send(from, answer.data(), answer.size(), MSG_NOSIGNAL);
    ::close(from);
    return got;
  }

private:
  int listener_;
  std::uint16_t port_ = 0;
};

} // namespace

TEST_CASE("what a runtime prints can be read, in whole lines and without its secrets") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  auto made = node.ask("POST", "/v1/sandboxes", node.token(), talking_spec(scratch, "talks"));
  REQUIRE(made.status == 202);
  auto id = made.json()["id"].get<std::string>();
  REQUIRE(settle(node, id, "Ready") == "Ready");
  auto seen = node.ask("GET", "/v1/sandboxes/" + id + "/logs", node.token());
  REQUIRE(seen.status == 200);
  auto text = seen.json()["text"].get<std::string>();
  INFO(text);
  CHECK(seen.json()["captured"] == true);
  CHECK(seen.json()["reason"].is_null());
  CHECK_THAT(text, Catch::Contains("it begins\n") && Catch::Contains("push <secret>") && Catch::Contains("key <"));
  CHECK_THAT(text, !Catch::Contains("half a line")); // what is not whole may be half a secret
  auto key = node.ask("POST", "/v1/sandboxes/" + id + "/access", node.token()).json()["headers"];
  CHECK(text.find(key.begin().value().get<std::string>()) == std::string::npos);
  auto shown = node.cli(scratch, {"sandbox", "logs", id});
  CHECK(shown.exit_code == 0);
  CHECK(shown.out == text);
  CHECK(canary_in(text + shown.out + shown.err) == "");
  CHECK(node.ask("GET", "/v1/sandboxes/nst-aaaaaaaaaaaaaaaaaaaaaaaaaa/logs", node.token()).status == 404);
  node.end_sandbox(id);
  auto after = node.ask("GET", "/v1/sandboxes/" + id + "/logs", node.token()).json();
  CHECK(after["captured"] == false);
  CHECK_THAT(after["reason"].get<std::string>(), Catch::Contains("ended"));
}

TEST_CASE("the log is JSON lines that tell a sandbox's life, the audit log tells who wanted it, and neither a secret") {
  scratch_folder scratch;
  serving_node node{scratch, "log: {format: json, level: debug}\n"};
  REQUIRE(node.port() != 0);
  auto made = node.ask("POST", "/v1/sandboxes", node.token(), talking_spec(scratch, "logged"));
  REQUIRE(made.status == 202);
  auto id = made.json()["id"].get<std::string>();
  REQUIRE(settle(node, id, "Ready") == "Ready");
  auto reader = node.token_for("default", "read");
  CHECK(node.ask("POST", "/v1/sandboxes/" + id + "/access", node.token()).status == 200);
  CHECK(node.ask("POST", "/v1/sandboxes", node.token(), talking_spec(scratch, "logged")).status == 409);
  CHECK(node.ask("GET", "/v1/sandboxes/" + id, reader).status == 200);
  auto stale = node.ask("PATCH", "/v1/sandboxes/" + id + "/configuration", node.token(), R"({"settings":{}})",
                        "Content-Type: application/merge-patch+json\r\nIf-Match: \"7\"\r\n");
  CHECK(stale.json()["code"] == "generation_stale");
  node.end_sandbox(id);
  auto audit = contents_of(node.state() + "/audit.jsonl");
  struct stat about {};
  REQUIRE(::stat((node.state() + "/audit.jsonl").c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  std::multiset<std::string> done;
  for (const auto& line : lines_of(audit)) {
    INFO(line.dump());
    REQUIRE(line.is_object());
    for (const char* name : {"time", "level", "event", "token", "role", "tenant", "status"})
      CHECK(line.contains(name));
    auto subject = line.value("subject", "");
    done.insert(line.value("event", "") + " " + std::to_string(line.value("status", 0)) +
                (subject == id                 ? " it"
                 : subject.starts_with("tok-") ? " token"
                                               : ""));
  }
  CHECK(done.count("create_sandbox 202 it") == 1);
  CHECK(done.count("create_sandbox 409") == 1);
  CHECK(done.count("get_access 200 it") == 1);
  CHECK(done.count("patch_configuration 412 it") == 1);
  CHECK(done.count("create_token 201 token") == 1);
  CHECK(done.count("delete_sandbox 202 it") >= 1);
  CHECK_THAT(audit, !Catch::Contains("get_sandbox"));

  auto token = node.token();
  REQUIRE(node.end_by(SIGTERM) == 0);
  CHECK(node.program().shows("node.stopping"));
  const auto& said = node.program().shown();
  std::set<std::string> events, steps;
  for (const auto& line : lines_of(said.substr(said.find('{')))) {
    if (!line.is_object())
      continue; // standard output's own
    CHECK(line.contains("time"));
    events.insert(line.value("event", ""));
    if (line.value("sandbox", "") == id && line.value("event", "") == "sandbox.step") {
      steps.insert(line.value("step", "") + " " + line.value("outcome", ""));
      CHECK(line.value("tenant", "") == "default");
      CHECK(line.contains("attempt"));
    }
  }
  for (const std::string event : {"node.listening", "sandbox.status", "sandbox.step", "http.request", "node.stopping"})
    CHECK(events.count(event) == 1);
  for (const std::string one : {"provision ok", "alive ok", "secrets ok", "verify ok", "destroy ok"})
    CHECK(steps.count(one) == 1);
  CHECK(canary_in(audit + said) == "");
  for (const auto& secret : {token, reader})
    CHECK((audit + said).find(secret) == std::string::npos);
}

TEST_CASE("refused logins are in the audit log, bounded, and without what was tried") {
  constexpr int tried = 60;
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  for (int i = 0; i < tried; ++i)
    CHECK(node.ask("GET", "/v1/sandboxes", "nsk-CANARY-" + std::to_string(i)).status == 401);
  CHECK(node.ask("GET", "/v1/sandboxes", "").status == 401); // nobody tried anything
  auto audit = contents_of(node.state() + "/audit.jsonl");
  auto lines = lines_of(audit);
  INFO(audit);
  CHECK(lines.size() >= 10);
  CHECK(lines.size() < tried); // unless the machine needed minutes for it
  for (const auto& line : lines) {
    REQUIRE(line.is_object());
    CHECK(line.value("event", "") == "login.refused");
    CHECK(line.value("route", "") == "list_sandboxes");
    CHECK(line.value("status", 0) == 401);
    CHECK(line.value("code", "") == "token_refused");
  }
  CHECK(canary_in(audit) == "");
}

TEST_CASE("a start is one trace at the collector, part of the trace of whoever asked for it") {
  scratch_folder scratch;
  collector otlp;
  serving_node node{scratch,
                    "traces: {endpoint: \"" + otlp.url() + "\", headers: {X-Key: {$env: COLLECTOR_KEY}}}\n",
                    {.env = {{"COLLECTOR_KEY", "key-of-the-collector"}}}};
  REQUIRE(node.port() != 0);
  auto made = node.ask("POST", "/v1/sandboxes", node.token(), talking_spec(scratch, "traced"),
                       "traceparent: " + traceparent + "\r\n");
  REQUIRE(made.status == 202);
  auto request = otlp.next();
  REQUIRE(request.starts_with("POST /v1/traces HTTP/1.1\r\n"));
  CHECK_THAT(request, Catch::Contains("X-Key: key-of-the-collector"));
  CHECK_THAT(request, Catch::Contains("Content-Type: application/json"));
  CHECK(canary_in(request) == "");
  auto body = json::parse(request.substr(request.find("\r\n\r\n") + 4), nullptr, false);
  REQUIRE(body.is_object());
  auto spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"];
  std::set<std::string> names;
  REQUIRE(spans[0].contains("parentSpanId"));
  for (const auto& span : spans) {
    names.insert(span["name"]);
    CHECK(span["traceId"] == traceparent.substr(3, 32));
    CHECK(span["parentSpanId"] ==
          (span["name"] == "sandbox start" ? json(traceparent.substr(36, 16)) : spans[0]["spanId"]));
    CHECK(std::stoull(span["startTimeUnixNano"].get<std::string>()) <=
          std::stoull(span["endTimeUnixNano"].get<std::string>()));
  }
  for (const std::string name : {"sandbox start", "queue", "provision", "alive", "secrets", "verify", "ready"})
    CHECK(names.count(name) == 1);
  settle(node, made.json()["id"].get<std::string>(), "Ready");
  CHECK(node.program().shown().find("key-of-the-collector") == std::string::npos);
}

TEST_CASE("a collector that is not there costs traces, which are counted, and no sandbox a moment") {
  scratch_folder scratch;
  serving_node node{scratch, "traces: {endpoint: \"http://127.0.0.1:1/v1/traces\"}\n"};
  REQUIRE(node.port() != 0);
  auto made = node.ask("POST", "/v1/sandboxes", node.token(), talking_spec(scratch, "untold"));
  REQUIRE(made.status == 202);
  auto id = made.json()["id"].get<std::string>();
  CHECK(settle(node, id, "Ready") == "Ready");
  node.end_sandbox(id);
  CHECK_THAT(node.ask("GET", "/metrics", node.token()).body,
             Catch::Contains("nestor_traces_total{outcome=\"dropped\"} 1\n"));
}
