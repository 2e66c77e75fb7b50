// Readers of events that never read: they cost bounded memory, others do not notice, and they are dropped.
#include "serve/serving.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <memory>

using namespace nestor::tests;

namespace {

constexpr std::size_t silent_readers = 40;
constexpr int happenings = 6'000; // some 170 bytes each: far more than a socket that nobody reads takes

const std::string quick = "http: {head_within: 5s, body_within: 5s, idle_within: 60s, write_within: 2s}\n";

long resident_kib(pid_t pid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:"))
      return std::stol(line.substr(6));
  return 0;
}

int connections(const serving_node& node) {
  auto text = node.ask("GET", "/metrics", node.token()).body;
  auto at = text.find("\nnestor_http_connections ");
  return at == std::string::npos ? -1 : std::stoi(text.substr(at + 25));
}

std::string listening(const serving_node& node) {
  return "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nAuthorization: Bearer " +
         node.token() + "\r\n\r\n";
}

/// Access to it, again and again: each is an event.
void make_events(const serving_node& node, const std::string& id, int count) {
  const std::string one = "POST /v1/sandboxes/" + id + "/access HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " +
                          node.token() + "\r\n\r\n";
  raw_connection to{node.port()};
  for (int i = 0; i < count; ++i) {
    to.send(one);
    to.take_until("\r\n\r\n");
  }
}

} // namespace

TEST_CASE("readers of events that never read cost bounded memory, are dropped, and others do not notice") {
  constexpr long grows_at_most = 16 << 10; // KiB: 40 readers hold 96 KiB each at most, the ring some 250 bytes an event
  scratch_folder scratch;
  serving_node node{scratch, quick};
  REQUIRE(node.port() != 0);
  auto made =
    node.ask("POST", "/v1/sandboxes", node.token(), R"({"runtime":{"command":[")" + server_binary() + R"("]}})");
  auto id = made.json().value("id", "");
  REQUIRE(settle(node, id, "Ready") == "Ready");
  make_events(node, id, 50); // what only the first of them costs
  auto before = resident_kib(node.program().pid());
  auto alone = connections(node);
  std::vector<std::unique_ptr<raw_connection>> silent;
  for (std::size_t i = 0; i < silent_readers; ++i) {
    silent.push_back(std::make_unique<raw_connection>(node.port(), 20, raw_connection::narrow));
    silent.back()->send(listening(node));
  }
  raw_connection attentive{node.port()};
  attentive.send(listening(node));
  CHECK_THAT(attentive.read_until("\r\n\r\n"), Catch::Contains("text/event-stream"));
  CHECK(connections(node) == alone + static_cast<int>(silent_readers) + 1);
  make_events(node, id, happenings);
  auto latest = node.ask("GET", "/v1/events?limit=1", node.token()).json().value("latest", 0);
  CHECK(latest > happenings);
  CHECK_THAT(attentive.read_until("id: " + std::to_string(latest) + "\n"),
             Catch::Contains("id: " + std::to_string(latest) + "\n"));
  auto grown = resident_kib(node.program().pid()) - before;
  INFO("grew by " << grown << " KiB");
  CHECK(grown < grows_at_most);
  // Each of these waits a second, at the node.
  for (int i = 0; i < 30 && connections(node) > alone + 1; ++i)
    node.ask("GET", "/v1/events?wait=1&after=" + std::to_string(latest), node.token());
  CHECK(connections(node) == alone + 1);
  // What one of them still finds is less than there was: it has to ask again from where it is.
  auto text = silent.front()->read_to_end();
  CHECK(silent.front()->closed());
  CHECK_THAT(text, !Catch::Contains("id: " + std::to_string(latest) + "\n"));
  CHECK(settle(node, id, "Ready") == "Ready");
}

TEST_CASE("a reader who comes back too late is told that it has missed something") {
  scratch_folder scratch;
  serving_node node{scratch, quick + "retention: {events: 100}\n"};
  REQUIRE(node.port() != 0);
  auto made =
    node.ask("POST", "/v1/sandboxes", node.token(), R"({"runtime":{"command":[")" + server_binary() + R"("]}})");
  auto id = made.json().value("id", "");
  REQUIRE(settle(node, id, "Ready") == "Ready");
  make_events(node, id, 300);
  raw_connection late{node.port()};
  auto asked = listening(node);
  late.send(asked.substr(0, asked.size() - 2) + "Last-Event-ID: 3\r\n\r\n");
  CHECK_THAT(late.read_until("id: "), Catch::Contains("event: reset"));
}
