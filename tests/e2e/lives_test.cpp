// Whole lives with the real binary, real processes and real sockets: the demo, a sandbox of one's own, its end when its
// owner is killed. Every secret is a canary, and everything that was written is searched for it in every form.
#include "support/canary.hpp"
#include "support/run_program.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <vector>

using namespace nestor::tests;

namespace {

const std::string secret_text = "CANARY-7f3a-\"e2e\"/value";

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

/// Numbers of the processes that are there.
std::vector<int> all_processes() {
  std::vector<int> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc", ignored})
    if (auto name = entry.path().filename().string(); std::isdigit(static_cast<unsigned char>(name.front())) != 0)
      found.push_back(std::stoi(name));
  return found;
}

/// Processes whose command line begins with that.
std::vector<int> running(const std::string& command) {
  auto found = all_processes();
  std::erase_if(
    found, [&](int pid) { return !contents_of("/proc/" + std::to_string(pid) + "/cmdline").starts_with(command); });
  return found;
}

/// What follows the name in /proc/PID/stat: its state, its parent, … Empty when there is no such process.
std::string stat_of(int pid) {
  auto stat = contents_of("/proc/" + std::to_string(pid) + "/stat"); // 1 (name) S parent …
  auto name_ends = stat.rfind(") ");
  return name_ends == std::string::npos ? std::string{} : stat.substr(name_ends + 2);
}

/// Not even a zombie counts that only waits to be collected by somebody else.
bool alive(int pid) {
  auto stat = stat_of(pid);
  return !stat.empty() && stat.front() != 'Z' && stat.front() != 'X';
}

/// Children, theirs, and so on.
std::vector<int> descendants_of(int ancestor) {
  std::map<int, int> parents;
  for (int pid : all_processes())
    if (auto stat = stat_of(pid); !stat.empty())
      parents[pid] = std::stoi(stat.substr(2));
  std::vector<int> found;
  for (auto [pid, parent] : parents)
    for (int up = parent; up > 0; up = parents.contains(up) ? parents[up] : 0)
      if (up == ancestor)
        found.push_back(pid);
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
  CHECK(canary_in(end.out + end.err) == "");
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
    CHECK(canary_in(end.out + end.err) == "");
  }
}

TEST_CASE("a server that already runs is configured with its own key, and cleared, and no secret is told") {
  scratch_folder scratch;
  auto session_key = "CANARY-session-" + std::to_string(::getpid());
  background_program server{{server_binary(), "--port", "0"}, {.env = {{"SESSION_API_KEY", session_key}}}};
  REQUIRE(server.shows("\n"));
  auto address = server.shown().substr(server.shown().find("127.0.0.1"));
  auto key = scratch.write("key", secret_text);
  auto spec = [&](const std::string& its_key) {
    return scratch.write("spec.yaml", "provider: static\n"
                                      "runtime: {url: 'http://" +
                                        address.substr(0, address.find('\n')) +
                                        "', session_key: {$file: " + scratch.write("session", its_key) +
                                        "}}\n"
                                        "configuration:\n"
                                        "  settings: {llm_model: x, llm_api_key: {$file: " +
                                        key +
                                        "}}\n"
                                        "  git_providers: {github: {token: {$file: " +
                                        key +
                                        "}}}\n"
                                        "  secrets: {DEPLOY_KEY: {$file: " +
                                        key + "}}\n");
  };
  auto well = run_program(scratch, {nestor_binary(), "up", "-f", spec(session_key), "--once", "-o", "json"});
  INFO(well.out << well.err);
  CHECK(well.exit_code == 0);
  CHECK_THAT(well.out, Catch::Contains("\"status\": \"Ready\""));
  CHECK(canary_in(well.out + well.err) == "");

  auto refused = run_program(scratch, {nestor_binary(), "up", "-f", spec(session_key + "-wrong"), "--once"});
  INFO(refused.out << refused.err);
  CHECK(refused.exit_code == 1);
  CHECK_THAT(refused.out, Catch::Contains("session_key_refused") || Catch::Contains("session key"));
  CHECK(canary_in(refused.out + refused.err) == "");
}

TEST_CASE("the last words of a server that died are shown, without the secrets that it repeats") {
  scratch_folder scratch;
  // It says every secret that it can know of (here: reads them where the test put them), and ends.
  auto script = scratch.write("start.sh", "echo booting; echo the key is $(cat " + scratch.file("key") +
                                            ") and the token $(cat " + scratch.file("token") + "); exit 3\n");
  auto file = spec_for(scratch, "", secret_text + "-token");
  auto text = contents_of(file);
  text.replace(text.find(server_binary()), server_binary().size(), "/bin/sh, " + script);
  auto end = run_program(scratch, {nestor_binary(), "up", "-f", scratch.write("spec.yaml", text), "--once"});
  INFO(end.out << end.err);
  CHECK(end.exit_code == 1);
  CHECK_THAT(end.out, Catch::Contains("the process ended with status 3") && Catch::Contains("booting") &&
                        Catch::Contains("the key is <secret>"));
  CHECK(canary_in(end.out + end.err) == "");
}

TEST_CASE("when nestor up is killed, its children and theirs are gone within a second") {
  scratch_folder scratch;
  // A grandchild that has left its process group: /bin/sh starts it in the background, then becomes the server. It
  // sleeps for a time that is this test's own, so that no other's is taken for it.
  auto nap = "987654." + std::to_string(::getpid());
  auto script =
    scratch.write("start.sh", "setsid sleep " + nap + " &\nexec " + server_binary() + " --dialect openhands\n");
  auto file = scratch.write("spec.yaml", "runtime: {command: [/bin/sh, " + script +
                                           "]}\n"
                                           "configuration: {settings: {llm_model: x}}\n");
  background_program owner{{nestor_binary(), "up", "-f", file}};
  bool ready = owner.shows("Ctrl-C destroys it");
  INFO(owner.shown());
  REQUIRE(ready);
  auto tree = descendants_of(owner.pid());
  auto sleeping = running("sleep" + std::string(1, '\0') + nap);
  REQUIRE(tree.size() >= 3); // guardian, server, grandchild
  REQUIRE(sleeping.size() == 1);
  REQUIRE(std::ranges::count(tree, sleeping.front()) == 1);
  owner.kill();
  auto killed = std::chrono::steady_clock::now();
  while (std::ranges::any_of(tree, alive) && std::chrono::steady_clock::now() - killed < std::chrono::seconds{10})
    ::poll(nullptr, 0, 1);
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - killed);
  INFO("gone after " << took.count() << " ms");
  CHECK(std::ranges::none_of(tree, alive));
  CHECK(took < std::chrono::seconds{1});
}
