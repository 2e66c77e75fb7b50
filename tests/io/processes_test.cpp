// Child processes as they really are: shells that daemonise, ignore TERM, flood their output; owners that are killed.
#include "io_world.hpp"

#include <nestor/io/entropy.hpp>
#include <nestor/io/process_list.hpp>
#include <nestor/io/processes.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

using namespace nestor;
using namespace nestor::test;

namespace {

std::string new_marker() {
  return "test/" + std::to_string(io::random_seed());
}

process_spawn shell(std::string script, std::string marker = new_marker()) {
  process_spawn what;
  what.argv = {"sh", "-c", std::move(script)};
  what.marker = std::move(marker);
  return what;
}

/// Processes with this marker in their environment, the guardian among them.
std::vector<io::process_entry> marked(const std::string& marker) {
  std::vector<io::process_entry> found;
  for (auto& entry : io::all_processes()) {
    std::ifstream file{"/proc/" + std::to_string(entry.pid) + "/environ", std::ios::binary};
    std::string text{std::istreambuf_iterator<char>{file}, {}};
    if (!entry.dead() && ('\0' + text).find(std::string{'\0'} + "NESTOR_RUNTIME=" + marker + '\0') != std::string::npos)
      found.push_back(std::move(entry));
  }
  return found;
}

/// Waits in the kernel for the end of a process that is not our child; false when it is still there after `ms`.
bool ends_within(std::int64_t pid, int ms) {
  int fd = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0U));
  if (fd < 0)
    return true;
  pollfd ended{fd, POLLIN, 0};
  bool ends = ::poll(&ended, 1, ms) > 0;
  ::close(fd);
  return ends;
}

struct process_world : io_world {
  std::optional<io::processes> children{std::in_place, context};

  io_reply spawn(process_spawn what) {
    return ask([&](auto done) { children->spawn(std::move(what), done); });
  }
  process_ref start(process_spawn what) {
    auto reply = spawn(std::move(what));
    if (const auto* refused = std::get_if<process_refused>(&reply))
      FAIL("could not be started: " << refused->reason);
    return std::get<process_started>(reply).process;
  }
  io_reply end(const process_ref& process, milliseconds grace = milliseconds{2'000}) {
    return ask([&](auto done) { children->end({process, grace}, done); });
  }
  io_reply look(const process_ref& process) {
    return ask([&](auto done) { children->look({process}, done); });
  }
  io_reply find(const std::string& marker) {
    return ask([&](auto done) { children->find({marker}, done); });
  }
  process_absent wait_for_end(const process_ref& process) {
    std::optional<process_absent> gone;
    children->watch(process, [&](process_absent how) { gone = std::move(how); });
    until([&] { return gone.has_value(); });
    return *gone;
  }
  template <class Begin>
  io_reply ask(Begin begin) {
    std::optional<io_reply> reply;
    begin([&](io_reply answer) { reply = std::move(answer); });
    CHECK(!reply); // never inside the call
    until([&] { return reply.has_value(); });
    return std::move(*reply);
  }
  bool is_absent(const io_reply& reply) { return std::holds_alternative<process_absent>(reply); }
  bool is_present(const io_reply& reply) { return std::holds_alternative<process_present>(reply); }

  ~process_world() {
    children.reset();
    CHECK((::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD)); // no child, alive or zombie, is left
  }
};

} // namespace

TEST_CASE_METHOD(process_world, "a child's environment is what was listed and four variables of ours", "[io]") {
  ::setenv("NESTOR_TEST_LEAK", "must not be passed on", 1); // NOLINT(concurrency-mt-unsafe)
  auto what = shell("", "m-1");
  what.argv = {"env"};
  what.env = {{"LOG_LEVEL", "info"}, {"LANG", "C.UTF-8"}};
  what.port = 4711;
  what.port_env = "PORT";
  auto how = wait_for_end(start(std::move(what)));
  std::istringstream lines{how.output_tail};
  std::set<std::string> seen;
  for (std::string line; std::getline(lines, line);)
    seen.insert(line);
  std::set<std::string> wanted{"LOG_LEVEL=info", "LANG=C.UTF-8", "PORT=4711", "NESTOR_RUNTIME=m-1"};
  for (std::string name : {"PATH", "HOME", "TMPDIR"})
    if (const char* value = std::getenv(name.c_str())) // NOLINT(concurrency-mt-unsafe)
      wanted.insert(name + "=" + value);
  CHECK(seen == wanted);
  CHECK(how.exit_status == 0);
}

TEST_CASE_METHOD(process_world, "a command that does not exist is refused with the system's words", "[io]") {
  auto what = shell("");
  what.argv = {"/does/not/exist"};
  CHECK(std::get<process_refused>(spawn(what)).reason == "No such file or directory");
  what.argv = {"/etc/passwd"};
  CHECK(std::get<process_refused>(spawn(what)).reason == "Permission denied");
  what.argv = {};
  CHECK(std::get<process_refused>(spawn(what)).reason == "no command was given");
  what = shell("true");
  what.env = {{"A=B", "c"}};
  CHECK(std::get<process_refused>(spawn(what)).reason == "the environment variable `A=B` cannot be passed on");
}

TEST_CASE_METHOD(process_world, "what is wrong with a command stays wrong: the refusal does not pass", "[io]") {
  auto what = shell("");
  for (std::vector<std::string> argv : {std::vector<std::string>{"/does/not/exist"}, {"/etc/passwd"}, {}}) {
    what.argv = argv;
    CHECK_FALSE(std::get<process_refused>(spawn(what)).passing);
  }
}

TEST_CASE_METHOD(process_world, "without a descriptor to spare a start is refused for now, and succeeds later",
                 "[io]") {
  rlimit usual{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &usual) == 0);
  int first_free = ::dup(0);
  REQUIRE(first_free >= 0);
  ::close(first_free);
  // A start takes several descriptors, one after the other: whichever it is that cannot be had, the answer is the same.
  constexpr int taken_by_a_start = 5;
  for (int spare = 0; spare <= taken_by_a_start; ++spare) {
    INFO(spare << " descriptors to spare");
    auto few = usual;
    few.rlim_cur = static_cast<rlim_t>(first_free + spare);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    auto what = shell("exit 0");
    what.port = 4711; // or looking for a port would be what fails
    auto reply = spawn(std::move(what));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &usual) == 0);
    if (const auto* refused = std::get_if<process_refused>(&reply)) {
      CHECK(refused->passing);
      CHECK_THAT(refused->reason, Catch::Contains("Too many open files") || Catch::Contains("Invalid argument"));
    }
    CHECK((spare > 0 || std::holds_alternative<process_refused>(reply)));
  }
  CHECK(wait_for_end(start(shell("exit 6"))).exit_status == 6);
}

TEST_CASE_METHOD(process_world, "one child too many is refused for now, and started when another has gone", "[io]") {
  io::processes_options only_one;
  only_one.children = 1;
  children.emplace(context, only_one);
  auto first = start(shell("sleep 1000"));
  auto refused = std::get<process_refused>(spawn(shell("exit 0")));
  CHECK(refused.passing);
  CHECK(refused.reason == "too many children: 1");
  REQUIRE(is_absent(end(first, milliseconds{50})));
  until([&] { return std::holds_alternative<process_started>(spawn(shell("exit 0"))); });
}

TEST_CASE_METHOD(process_world, "a missing guardian is refused and named", "[io]") {
  children.emplace(context, io::processes_options{.guardian = "/does/not/exist"});
  auto reason = std::get<process_refused>(spawn(shell("true"))).reason;
  CHECK(reason == "its guardian /does/not/exist could not be started: No such file or directory");
}

TEST_CASE_METHOD(process_world, "an end tells status and last lines, without the secrets", "[io]") {
  auto what = shell("echo the key is $KEY, really; echo on stderr >&2; exit 7");
  what.secret_env.emplace_back("KEY", secret::copy_of("CANARY-7f3a"));
  auto how = wait_for_end(start(std::move(what)));
  CHECK(how.exit_status == 7);
  CHECK(how.output_tail == "the key is <redacted>, really\non stderr\n");

  CHECK(wait_for_end(start(shell("kill -9 $$"))).exit_status == 137);
}

TEST_CASE_METHOD(process_world, "status and output of an ended child can be asked for later", "[io]") {
  auto process = start(shell("echo bye; exit 3"));
  wait_for_end(process);
  auto reply = look(process);
  REQUIRE(is_absent(reply));
  CHECK(std::get<process_absent>(reply).exit_status == 3);
  CHECK(std::get<process_absent>(reply).output_tail == "bye\n");
  CHECK(is_absent(end(process)));
}

TEST_CASE_METHOD(process_world, "only the last lines of much output are kept, and whole ones", "[io]") {
  auto how = wait_for_end(start(shell("i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done")));
  CHECK(how.output_tail.size() <= 16'384);
  CHECK(how.output_tail.size() > 8'000);
  CHECK(how.output_tail.starts_with("line "));
  CHECK(how.output_tail.ends_with("line 29999\n"));
}

TEST_CASE_METHOD(process_world, "ending a child ends what it daemonised, TERM ignored or not", "[io]") {
  auto marker = new_marker();
  auto what = shell("trap '' TERM; setsid sh -c \"trap '' TERM; setsid sleep 1000 & sleep 1000\" & "
                    "(setsid setsid sleep 1000 &) ; sleep 1000 & echo up; wait; wait; sleep 1000",
                    marker);
  auto process = start(what);
  until([&] { return marked(marker).size() >= 7; }); // guardian, shell, inner shell, four sleeps
  auto all = marked(marker);
  CHECK(is_present(look(process)));
  auto reply = end(process, milliseconds{100});
  CHECK(is_absent(reply));
  CHECK(marked(marker).empty());
  CHECK(is_absent(look(process)));
}

TEST_CASE_METHOD(process_world, "a child that heeds TERM ends within its grace and in its own way", "[io]") {
  auto process = start(shell("trap 'echo tidied; exit 5' TERM; echo up; while :; do sleep 0.05; done"));
  auto begin = io::steady_now();
  auto reply = end(process, milliseconds{30'000});
  REQUIRE(is_absent(reply));
  CHECK(io::steady_now() - begin < milliseconds{10'000});
  CHECK((std::get<process_absent>(reply).exit_status == 5 || std::get<process_absent>(reply).exit_status == 143));
}

TEST_CASE_METHOD(process_world, "what a child leaves behind when it ends by itself is ended too", "[io]") {
  auto marker = new_marker();
  auto how = wait_for_end(start(shell("setsid sleep 1000 & exit 4", marker)));
  CHECK(how.exit_status == 4);
  CHECK(marked(marker).empty());
}

TEST_CASE_METHOD(process_world, "a later process with the same number is not taken for ours", "[io]") {
  auto process = start(shell("sleep 1000"));
  CHECK(is_present(look(process)));
  auto other = process;
  other.start_time += 1;
  CHECK(is_absent(look(other)));
  other = process;
  other.boot_id = "another boot";
  CHECK(is_absent(look(other)));
  CHECK(is_absent(end(other)));
  CHECK(is_present(look(process)));
}

TEST_CASE_METHOD(process_world, "each child that asks for a port gets one of its own", "[io]") {
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 10; ++i) {
    auto what = shell("exit 0");
    what.port_env = "PORT";
    ports.insert(std::get<process_started>(spawn(what)).port);
  }
  CHECK(ports.size() == 10);
  CHECK(!ports.contains(0));
}

TEST_CASE_METHOD(process_world, "a child is found by its marker, also before its start was answered", "[io]") {
  auto marker = new_marker();
  std::optional<io_reply> started;
  children->spawn(shell("sleep 1000", marker), [&](io_reply reply) { started = std::move(reply); });
  auto found = find(marker);
  REQUIRE(started);
  REQUIRE(std::holds_alternative<process_started>(found));
  CHECK(std::get<process_started>(found).process == std::get<process_started>(*started).process);
  CHECK(is_absent(find(new_marker())));
}

TEST_CASE_METHOD(process_world, "a child whose guardian was killed is still ended", "[io]") {
  auto marker = new_marker();
  auto process = start(shell("trap '' TERM; sleep 1000; sleep 1000", marker));
  std::optional<process_absent> gone;
  children->watch(process, [&](process_absent how) { gone = std::move(how); });
  auto guardian = io::process_at(process.pid)->parent;
  REQUIRE(::kill(static_cast<pid_t>(guardian), SIGKILL) == 0);
  until([&] { return ::kill(static_cast<pid_t>(guardian), 0) != 0; }); // collected, not a zombie
  CHECK(is_present(look(process)));
  CHECK(!gone);
  CHECK(is_absent(end(process, milliseconds{50})));
  until([&] { return gone.has_value(); });
  CHECK(marked(marker).empty());
}

// -- owners that die: this test program, started again as its own victim --------------------------

/// Hidden: what the victim does. Starts a child, says so, and waits to be killed.
TEST_CASE_METHOD(process_world, "an owner to be killed", "[.owner]") {
  const char* marker = std::getenv("NESTOR_TEST_MARKER"); // NOLINT(concurrency-mt-unsafe)
  REQUIRE(marker != nullptr);
  auto what = shell("trap '' TERM HUP; (setsid sleep 1000 &); sleep 1000; sleep 1000", marker);
  what.outlives_us = std::getenv("NESTOR_TEST_OUTLIVES") != nullptr; // NOLINT(concurrency-mt-unsafe)
  auto process = start(what);
  until([&] { return marked(marker).size() >= 4; });
  auto line = std::to_string(process.pid) + " " + std::to_string(process.start_time) + "\n";
  REQUIRE(::write(9, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  for (;;)
    ::pause();
}

namespace {

/// Starts the victim and kills it with SIGKILL as soon as its child is up.
process_ref kill_an_owner(const std::string& marker, bool outlives) {
  int up[2];
  REQUIRE(::pipe2(up, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, up[1], 9);
  ::setenv("NESTOR_TEST_MARKER", marker.c_str(), 1); // NOLINT(concurrency-mt-unsafe)
  if (outlives)
    ::setenv("NESTOR_TEST_OUTLIVES", "1", 1); // NOLINT(concurrency-mt-unsafe)
  char program[] = "/proc/self/exe", name[] = "an owner to be killed", out[] = "-o", nowhere[] = "/dev/null";
  char* arguments[] = {program, name, out, nowhere, nullptr};
  pid_t owner = 0;
  REQUIRE(::posix_spawn(&owner, program, &files, nullptr, arguments, environ) == 0);
  posix_spawn_file_actions_destroy(&files);
  ::unsetenv("NESTOR_TEST_OUTLIVES"); // NOLINT(concurrency-mt-unsafe)
  ::close(up[1]);
  std::string line;
  char byte = 0;
  while (::read(up[0], &byte, 1) == 1 && byte != '\n')
    line += byte;
  ::close(up[0]);
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
  process_ref process;
  std::istringstream{line} >> process.pid >> process.start_time;
  process.boot_id = io::boot_id();
  REQUIRE(process.pid > 0);
  return process;
}

} // namespace

TEST_CASE("the guardian ends the tree within a second when its owner is killed", "[io]") {
  auto marker = new_marker();
  auto process = kill_an_owner(marker, false);
  auto until = io::steady_now() + milliseconds{1'000};
  for (const auto& entry : marked(marker)) {
    auto left = (until - io::steady_now()).count() / 1000;
    CHECK(ends_within(entry.pid, static_cast<int>(std::max<std::int64_t>(left, 0))));
  }
  CHECK(marked(marker).empty());
  CHECK_FALSE(io::alive(process));
}

TEST_CASE_METHOD(process_world, "a child that outlives its owner is found again and ended with all it started",
                 "[io]") {
  auto marker = new_marker();
  auto process = kill_an_owner(marker, true);
  CHECK(is_present(look(process)));
  auto found = find(marker);
  REQUIRE(std::holds_alternative<process_started>(found));
  CHECK(std::get<process_started>(found).process == process);
  CHECK(std::get<process_started>(found).port != 0);
  std::optional<process_absent> gone;
  children->watch(process, [&](process_absent how) { gone = std::move(how); });
  CHECK(is_absent(end(process, milliseconds{50})));
  until([&] { return gone.has_value(); });
  CHECK(marked(marker).empty());
}
