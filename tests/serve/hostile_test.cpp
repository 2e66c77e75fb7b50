// Clients that mean harm, or do not know better: every one gets a clean 4xx or is closed, and others do not notice.
#include "serve/serving.hpp"

#include <catch2/catch.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <memory>

using namespace nestor::tests;

namespace {

int status_for(const serving_node& node, const std::string& bytes) {
  raw_connection to{node.port()};
  to.send(bytes);
  return parse_answer(to.read_until("\r\n\r\n")).status;
}

bool still_well(const serving_node& node) {
  return node.ask("GET", "/v1/sandboxes", node.token()).status == 200;
}

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
    ++count;
  return count;
}

/// Of that process now, in KiB.
long resident_kib(pid_t pid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:"))
      return std::stol(line.substr(6));
  return 0;
}

/// Descriptors for `wanted` connections, or as many as this machine lets us have.
std::size_t allowed_connections(std::size_t wanted) {
  constexpr rlim_t others = 64; // descriptors that are no connection
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::max(files.rlim_cur, std::min<rlim_t>(files.rlim_max, wanted + others));
  ::setrlimit(RLIMIT_NOFILE, &files);
  ::getrlimit(RLIMIT_NOFILE, &files);
  return std::min<std::size_t>(wanted, files.rlim_cur - others);
}

const std::string quick = "http: {head_within: 2s, body_within: 2s, idle_within: 3s, write_within: 2s}\n";

} // namespace

TEST_CASE("bytes that are no request, and requests that are not for us, are refused cleanly") {
  scratch_folder scratch;
  serving_node node{scratch, quick};
  REQUIRE(node.port() != 0);
  const std::string host = "Host: 127.0.0.1\r\n";
  const std::string who = "Authorization: Bearer " + node.token() + "\r\n";
  const std::string post = "POST /v1/sandboxes HTTP/1.1\r\n" + host + who;
  const std::string json = "Content-Type: application/json\r\n";
  const std::vector<std::pair<std::string, int>> rows{
    {"garbage\r\n\r\n", 400},
    {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + "\r\n\r\n", 400},
    {"GET / HTTP/9.9\r\n" + host + "\r\n", 400},
    {"GET  /livez HTTP/1.1\r\n" + host + "\r\n", 400},
    {"GET /livez HTTP/1.1\r\n\r\n", 400},
    {"GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
    {"GET /livez HTTP/1.1\r\n" + host + host + "\r\n", 400},
    {"GET http://127.0.0.1/livez HTTP/1.1\r\n" + host + "\r\n", 400},
    {"BREW /livez HTTP/1.1\r\n" + host + "\r\n", 405},
    {"TRACE /livez HTTP/1.1\r\n" + host + "\r\n", 405},
    {"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + host + "\r\n", 405},
    {"GET /nothing HTTP/1.1\r\n" + host + "\r\n", 404},
    {"GET /../../etc/passwd HTTP/1.1\r\n" + host + "\r\n", 404},
    {"GET /v1/sandboxes/..%2f..%2fnode HTTP/1.1\r\n" + host + who + "\r\n", 404},
    {"GET /v1/sandboxes/%00 HTTP/1.1\r\n" + host + who + "\r\n", 400},
    {"GET /v1/sandboxes/%ff HTTP/1.1\r\n" + host + who + "\r\n", 400},
    {"GET /v1/sandboxes HTTP/1.1\r\n" + host + "\r\n", 401},
    {"GET /v1/sandboxes HTTP/1.1\r\n" + host + "Authorization: Bearer nsk-0\r\n\r\n", 401},
    {"GET /v1/sandboxes HTTP/1.1\r\n" + host + who + "Origin: http://evil.example\r\n\r\n", 403},
    {"GET /livez HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 421},
    {"GET /livez HTTP/1.1\r\nHost: 127.0.0.1@evil.example\r\n\r\n", 421},
    {"GET /livez HTTP/1.1\r\nHost: \r\n\r\n", 421},
    {"GET //livez HTTP/1.1\r\n" + host + "\r\n", 404},
    {"GET /v1/../livez HTTP/1.1\r\n" + host + "\r\n", 404},
    {"GET /livez%2f HTTP/1.1\r\n" + host + "\r\n", 404},
    {"GET /livez;x HTTP/1.1\r\n" + host + "\r\n", 404},
    {"GET \\livez HTTP/1.1\r\n" + host + "\r\n", 400},
    {"GET /livez#x HTTP/1.1\r\n" + host + "\r\n", 400},
    {"GET /v1/sandboxes?limit=%ff HTTP/1.1\r\n" + host + who + "\r\n", 400},
    {"GET /v1/sandboxes HTTP/1.1\r\n" + host + who + who + "\r\n", 400},
    {"GET /v1/sandboxes HTTP/1.1\r\n" + host + who + "Origin: null\r\n\r\n", 403},
    {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", 405},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
    {"GET /v1/sandboxes HTTP/1.1\r\n" + host + "X: " + std::string(20'000, 'x') + "\r\n\r\n", 431},
    {post + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415},
    {post + json + "Content-Length: 99999999999\r\n\r\n{}", 413},
    {post + json + "Content-Length: -1\r\n\r\n{}", 400},
    {post + json + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400},
    {post + json + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {post + json + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400},
    {post + json + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
    {post + json + "Content-Length: 2\r\n\r\n{]", 400},
    {post + json + "Content-Length: 4\r\n\r\n\"\xff\xfe\"", 400},
    {post + json + "Content-Length: 14\r\n\r\n{\"a\":{\"a\":{}}}", 400},
  };
  for (const auto& [bytes, status] : rows) {
    INFO(bytes.substr(0, 200));
    CHECK(status_for(node, bytes) == status);
  }
  CHECK(still_well(node));
}

TEST_CASE("where a request ends is never a matter of opinion: what is ambiguous ends the connection") {
  scratch_folder scratch;
  serving_node node{scratch, quick};
  REQUIRE(node.port() != 0);
  const std::string post = "POST /v1/sandboxes HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + node.token() +
                           "\r\nContent-Type: application/json\r\n";
  const std::string smuggled = "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  for (const std::string lines : {
         "Transfer-Encoding : chunked\r\n\r\n",
         "Transfer-Encoding: chunked, identity\r\n\r\n",
         "Transfer-Encoding: identity\r\n\r\n",
         "Transfer-Encoding: gzip, chunked\r\n\r\n",
         "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         "Transfer-Encoding: \x0b"
         "chunked\r\n\r\n",
         "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
         "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n",
         "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n",
         "Content-Length: +0\r\n\r\n",
         "Content-Length: 0x0\r\n\r\n",
         "Content-Length:\r\n\r\n",
         "Content-Length: 0\r\nX\r\n\r\n",
         "Content-Length: 0\n\n",
       }) {
    INFO(lines);
    raw_connection to{node.port()};
    to.send(post + lines + smuggled);
    auto text = to.read_to_end();
    CHECK(to.closed());
    CHECK(count_of(text, "HTTP/1.1 4") == 1); // the words of a refusal name HTTP/1.1, too
    CHECK(count_of(text, "HTTP/1.1 2") == 0);
    CHECK_THAT(text, Catch::StartsWith("HTTP/1.1 4"));
  }
  CHECK(still_well(node));
}

TEST_CASE("who is slow, silent or never reads is closed, and others do not notice") {
  scratch_folder scratch;
  serving_node node{scratch, quick};
  REQUIRE(node.port() != 0);
  raw_connection silent{node.port()}, slow_head{node.port()}, slow_body{node.port()};
  slow_head.send("GET /livez HTTP/1.1\r\nHost: 127.");
  slow_body.send("POST /v1/sandboxes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
                 "100\r\nAuthorization: Bearer " +
                 node.token() + "\r\n\r\n{");
  CHECK(still_well(node));
  for (auto* each : {&silent, &slow_head, &slow_body}) {
    each->read_to_end();
    CHECK(each->closed());
  }
  CHECK(still_well(node));
}

TEST_CASE("a crowd of silent connections makes room for those who have something to say") {
  scratch_folder scratch;
  serving_node node{scratch, "limits: {connections: 50}\n"};
  REQUIRE(node.port() != 0);
  std::vector<std::unique_ptr<raw_connection>> crowd;
  for (int i = 0; i < 300; ++i) {
    crowd.push_back(std::make_unique<raw_connection>(node.port()));
    crowd.back()->send("GET /livez HTT"); // half a head each
  }
  for (int i = 0; i < 20; ++i)
    CHECK(still_well(node));
  crowd.front()->read_to_end();
  CHECK(crowd.front()->closed());
}

TEST_CASE("ten thousand idle connections cost bounded memory, and others do not notice") {
  constexpr long grows_at_most = 64 << 10; // KiB: what 4,096 connections hold that say nothing is below 16 KiB each
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  REQUIRE(still_well(node));
  auto before = resident_kib(node.program().pid());
  auto count = allowed_connections(10'000);
  INFO(count << " connections");
  CHECK(count > 500);
  std::vector<std::unique_ptr<raw_connection>> crowd;
  for (std::size_t i = 0; i < count; ++i)
    crowd.push_back(std::make_unique<raw_connection>(node.port()));
  for (int i = 0; i < 20; ++i)
    CHECK(still_well(node));
  auto grown = resident_kib(node.program().pid()) - before;
  INFO("grew by " << grown << " KiB");
  CHECK(grown < grows_at_most);
}

TEST_CASE("requests that arrive at once are answered one after the other, garbage behind them ends the connection") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  const std::string one = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::string many;
  for (int i = 0; i < 50; ++i)
    many += one;
  raw_connection to{node.port()};
  to.send(many + "\r\n\r\ngarbage\r\n\r\n" + one);
  auto text = to.read_to_end();
  CHECK(to.closed());
  std::size_t answers = 0;
  for (auto at = text.find("HTTP/1.1 200"); at != std::string::npos; at = text.find("HTTP/1.1 200", at + 1))
    ++answers;
  CHECK(answers == 50);
  CHECK_THAT(text, Catch::Contains("HTTP/1.1 400"));
}

TEST_CASE("a body is not read from who may not send it, and is asked for where it is welcome") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  const std::string head = "POST /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           "Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n";
  raw_connection stranger{node.port()};
  stranger.send(head + "\r\n");
  CHECK(parse_answer(stranger.read_to_end()).status == 401);
  raw_connection friendly{node.port()};
  friendly.send(head + "Authorization: Bearer " + node.token() + "\r\n\r\n");
  CHECK_THAT(friendly.read_until("\r\n\r\n"), Catch::StartsWith("HTTP/1.1 100"));
  friendly.send("{}");
  CHECK_THAT(friendly.read_to_end(), Catch::Contains("HTTP/1.1 400"));
}

TEST_CASE("other local users read neither the token nor the tokens' file, and an open door is refused") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  for (const std::string name : {"token", "tokens.json"}) {
    auto rights = std::filesystem::status(node.state() + "/" + name).permissions();
    CHECK(rights == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  }
  auto open = run_program(scratch, {nestor_binary(), "serve", "--listen", "0.0.0.0:0", "--state", scratch.file("two")});
  CHECK(open.exit_code == 2);
  CHECK_THAT(open.err, Catch::Contains("tls"));
}
