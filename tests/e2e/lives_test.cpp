// Whole lives with the real binary, real processes and real sockets: the demo, a sandbox of one's own, its end when its
// owner is killed. Every secret is a canary, and everything that was written is searched for it in five forms.
#include "support/run_program.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <poll.h>
#include <string>
#include <vector>

using namespace nestor::tests;

namespace {

const std::string secret_text = "CANARY-7f3a-\"e2e\"/value";

std::string server_binary() {
  auto path = std::filesystem::path{nestor_binary()};
  return (path.parent_path() / "nestor-nested-server").string();
}

std::string base64(const std::string& text) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int held = 0;
  for (unsigned char c : text) {
    bits = bits << 8U | c;
    for (held += 8; held >= 6; held -= 6)
      out += alphabet[bits >> static_cast<unsigned>(held - 6) & 63U];
  }
  return out;
}

std::string coded(const std::string& text, const char* format, bool all) {
  std::string out;
  for (unsigned char c : text) {
    std::array<char, 8> piece{};
    std::snprintf(piece.data(), piece.size(), format, c);
    out += all || !std::isalnum(c) ? std::string{piece.data()} : std::string(1, static_cast<char>(c));
  }
  return out;
}

void check_silent(const std::string& written) {
  CHECK(written.find("CANARY-7f3a") == std::string::npos); // raw and JSON-escaped share this beginning
  CHECK(written.find(base64("CANARY-7f3a-")) == std::string::npos);
  CHECK(written.find(coded("CANARY-7f3a-", "%02x", true)) == std::string::npos);
  CHECK(written.find(coded("CANARY-7f3a-", "%%%02X", false)) == std::string::npos);
}

std::string spec_for(const scratch_folder& scratch, const std::string& server_options, const std::string& git_token) {
  auto key = scratch.write("key", secret_text);
  auto token = scratch.write("token", git_token);
  return scratch.write("spec.yaml", "name: e2e\n"
                                    "runtime: {command: [" +
                                      server_binary() + server_options +
                                      "]}\n"
                                      "configuration:\n"
                                      "  settings: {llm_model: x, llm_api_key: {$file: " +
                                      key +
                                      "}}\n"
                                      "  git_providers: {github: {token: {$file: " +
                                      token +
                                      "}}}\n"
                                      "  secrets: {DEPLOY_KEY: {$file: " +
                                      key + "}}\n");
}

/// Processes whose command line begins with that program.
std::vector<int> running(const std::string& program) {
  std::vector<int> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc", ignored}) {
    auto name = entry.path().filename().string();
    if (std::isdigit(static_cast<unsigned char>(name.front())) &&
        contents_of(entry.path() / "cmdline").starts_with(program))
      found.push_back(std::stoi(name));
  }
  return found;
}

} // namespace

TEST_CASE("the demo does what it says, and leaves nothing") {
  scratch_folder scratch;
  auto end = run_program(scratch, {nestor_binary(), "demo", "--no-color"});
  INFO(end.out << end.err);
  CHECK(end.exit_code == 0);
  for (auto line : {"as it should be: three Ready", "as it should be: destroyed, never served",
                    "as it should be: Ready on its second runtime", "as it should be: generation 2 confirmed",
                    "sandboxes left: 0, processes left: 0", "as it should be: nothing is left"})
    CHECK_THAT(end.out, Catch::Contains(line));
}

TEST_CASE("a sandbox of one's own comes up, is shown, and is destroyed") {
  scratch_folder scratch;
  auto file = spec_for(scratch, ", --dialect, openhands", secret_text);
  auto end = run_program(scratch, {nestor_binary(), "up", "-f", file, "--once", "-o", "json"});
  INFO(end.out << end.err);
  CHECK(end.exit_code == 0);
  CHECK_THAT(end.out, Catch::Contains("\"status\": \"Ready\"") && Catch::Contains("\"observed_generation\": 1") &&
                        Catch::Contains("\"dialect\": \"openhands\""));
  check_silent(end.out + end.err);
}

TEST_CASE("failures of every kind repeat no secret, and exit 1 with a reason") {
  scratch_folder scratch;
  for (const std::string fault :
       {"status:422@POST /api/settings x*", "page:200@POST /api/secrets x*", "status:500@GET /api/secrets x*",
        "die@POST /api/secrets x*", "git-unreachable@POST /api/add-git-providers x*"}) {
    INFO(fault);
    auto file = spec_for(scratch, ", --fault, '" + fault + "'", secret_text);
    auto end = run_program(scratch, {nestor_binary(), "up", "-f", file, "--once"});
    INFO(end.out << end.err);
    CHECK(end.exit_code == 1);
    CHECK_THAT(end.out, Catch::Contains("What to do:"));
    check_silent(end.out + end.err);
  }
}

TEST_CASE("when nestor up is killed, its children and theirs are gone within a second") {
  scratch_folder scratch;
  // A server with a grandchild that has left its process group: /bin/sh starts `sleep` in the background, then becomes
  // it.
  auto script = scratch.write("start.sh", "setsid sleep 987 &\nexec " + server_binary() + " --dialect openhands\n");
  auto key = scratch.write("key", secret_text);
  auto file = scratch.write("spec.yaml", "runtime: {command: [/bin/sh, " + script +
                                           "]}\n"
                                           "configuration: {settings: {llm_model: x}}\n");
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  auto owner = ::fork();
  if (owner == 0) {
    ::dup2(pipe_ends[1], 1);
    ::close(pipe_ends[0]);
    ::close(pipe_ends[1]);
    ::execl(nestor_binary().c_str(), "nestor", "up", "-f", file.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(pipe_ends[1]);
  std::string shown;
  std::array<char, 4096> chunk{};
  pollfd readable{pipe_ends[0], POLLIN, 0};
  constexpr int ready_within_ms = 60'000;
  while (shown.find("Ctrl-C destroys it") == std::string::npos && ::poll(&readable, 1, ready_within_ms) == 1) {
    auto size = ::read(pipe_ends[0], chunk.data(), chunk.size());
    if (size <= 0)
      break;
    shown.append(chunk.data(), static_cast<std::size_t>(size));
  }
  INFO(shown);
  REQUIRE(shown.find("Ctrl-C destroys it") != std::string::npos);
  auto ours = [&] {
    auto all = running(server_binary());
    auto sleeping = running(std::string{"sleep\0"
                                        "987",
                                        9});
    all.insert(all.end(), sleeping.begin(), sleeping.end());
    return all;
  };
  REQUIRE(ours().size() >= 2);
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
  auto killed = std::chrono::steady_clock::now();
  while (!ours().empty() && std::chrono::steady_clock::now() - killed < std::chrono::seconds{5})
    ::poll(nullptr, 0, 5);
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - killed);
  INFO("gone after " << took.count() << " ms");
  CHECK(ours().empty());
  CHECK(took < std::chrono::seconds{1});
  ::close(pipe_ends[0]);
}
