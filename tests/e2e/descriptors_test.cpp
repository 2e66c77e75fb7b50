// More sandboxes than file descriptors: they wait for each other's connections, and all of them become Ready.
#include "support/run_program.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>

using namespace nestor::tests;

namespace {

constexpr int servers = 16; // of their own each to the client, which wants up to eight connections to every one
constexpr int sandboxes = 1'000;
constexpr rlim_t descriptors = 40;

/// The first of a few ports in a row, which were free a moment ago.
int free_ports() {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(fd);
  return std::min<int>(ntohs(address.sin_port), 65'535 - servers);
}

std::string spec_for(int first_port) {
  auto port = "{" + std::to_string(first_port) + "+index%" + std::to_string(servers) + "}";
  return "provider: static\n"
         "runtime: {url: 'http://127.0.0.1:" +
         port +
         "/s/{index}'}\n"
         "configuration:\n"
         "  settings: {llm_model: x, llm_api_key: {$literal: 'CANARY-{index}'}}\n"
         "  secrets: {API_TOKEN: {$literal: 'CANARY-{index}'}}\n";
}

} // namespace

TEST_CASE("a thousand sandboxes become Ready with a few dozen file descriptors") {
  std::optional<background_program> server;
  int first = 0;
  for (int tries = 0; tries < 20 && first == 0; ++tries) { // somebody else may have taken one of the ports
    auto wanted = free_ports();
    auto range = std::to_string(wanted) + "-" + std::to_string(wanted + servers - 1);
    server.emplace(std::vector<std::string>{server_binary(), "--ports", range, "--no-rate-limit"});
    first = server->shows("listening") ? wanted : 0;
  }
  REQUIRE(first != 0);
  scratch_folder scratch;
  auto end = run_program(scratch,
                         {nestor_binary(), "bench", "--spec", scratch.write("spec.yaml", spec_for(first)), "--count",
                          std::to_string(sandboxes), "--concurrency", std::to_string(sandboxes)},
                         {.descriptors = descriptors});
  INFO(end.out << end.err);
  REQUIRE(end.exit_code == 0);
  auto line = nlohmann::json::parse(end.out);
  CHECK(line["ok"] == sandboxes);
  CHECK(line["fail"] == 0);
}
