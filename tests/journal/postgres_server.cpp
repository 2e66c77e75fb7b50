#include "journal/postgres_server.hpp"

#include <catch2/catch.hpp>
#include <libpq-fe.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX's
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nestor::tests {
namespace {

namespace fs = std::filesystem;

// Starts within a second; a machine that does ten other things needs longer.
constexpr std::chrono::seconds answers_within{60};

std::optional<fs::path> binaries() {
  std::error_code none;
  std::optional<fs::path> newest;
  for (const auto& version : fs::directory_iterator{"/usr/lib/postgresql", none})
    if (fs::exists(version.path() / "bin" / "initdb", none) && (!newest || *newest < version.path() / "bin"))
      newest = version.path() / "bin";
  return newest;
}

/// The server refuses to run as root.
const passwd* other_user() {
  return ::geteuid() == 0 ? ::getpwnam("nobody") : nullptr;
}

std::string encoded(const std::string& text) {
  constexpr const char* digits = "0123456789ABCDEF";
  std::string all;
  for (unsigned char c : text)
    all.append({'%', digits[c >> 4U], digits[c & 15U]});
  return all;
}

bool ended_well(pid_t pid) {
  int status = 0;
  return ::waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

} // namespace

std::unique_ptr<postgres_server> postgres_server::start(const fs::path& where) {
  auto bin = binaries();
  if (!bin) {
    if (std::getenv("CI") != nullptr)
      FAIL("no PostgreSQL server is installed: cmake/packages names it");
    WARN("skipped: no PostgreSQL server is installed (Debian: postgresql)");
    return nullptr;
  }
  std::string folder = (where / "nestor-pg-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  std::unique_ptr<postgres_server> made{new postgres_server{folder}};
  std::ofstream{made->folder_ / "password"} << password;
  if (const auto* user = other_user())
    for (const auto& path : {made->folder_, made->folder_ / "password"})
      REQUIRE(::chown(path.c_str(), user->pw_uid, user->pw_gid) == 0);
  REQUIRE(ended_well(
    made->run({(*bin / "initdb").string(), "-D", (made->folder_ / "data").string(), "--no-sync", "--no-locale", "-E",
               "UTF8", "-U", "nestor", "-A", "scram-sha-256", "--pwfile", (made->folder_ / "password").string()})));
  made->restart();
  return made;
}

postgres_server::~postgres_server() {
  end(SIGQUIT);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

pid_t postgres_server::run(const std::vector<std::string>& argv) const {
  const auto* user = other_user();
  auto log = (folder_ / "log").string();
  std::vector<char*> arguments;
  for (const auto& each : argv)
    arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  auto parent = ::getpid();
  auto pid = ::fork();
  if (pid == 0) {
    int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(out, 1);
    ::dup2(out, 2);
    if (user && (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0))
      ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT); // after the change of user, which would undo it
    if (::getppid() != parent || ::chdir("/") != 0)
      ::_exit(125);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  return pid;
}

void postgres_server::restart() {
  auto until = std::chrono::steady_clock::now() + answers_within;
  do { // what is left of a killed one holds its memory for moments
    pid_ = run({(*binaries() / "postgres").string(), "-D", (folder_ / "data").string(), "-k", folder_.string(), "-c",
                "listen_addresses=", "-c", "shared_buffers=32MB", "-c", "max_wal_size=512MB"});
    wait_until_it_answers();
  } while (::waitpid(pid_, nullptr, WNOHANG) != 0 && std::chrono::steady_clock::now() < until);
}

void postgres_server::fail_over() {
  stop_at_once();
  std::ofstream{folder_ / "data" / "standby.signal"};
  restart();
  sql("select pg_promote()"); // waits for it
  sql("checkpoint");
}

void postgres_server::wait_until_it_answers() const {
  auto until = std::chrono::steady_clock::now() + answers_within;
  while (PQping(address().c_str()) != PQPING_OK) {
    siginfo_t gone{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &gone, WEXITED | WNOHANG | WNOWAIT) != 0 || gone.si_pid == pid_)
      return;
    if (std::chrono::steady_clock::now() > until)
      FAIL("PostgreSQL does not answer:\n" << log());
    std::this_thread::yield();
  }
}

void postgres_server::end(int signal) {
  if (pid_ <= 0)
    return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void postgres_server::kill() {
  end(SIGKILL);
}

void postgres_server::stop_at_once() {
  end(SIGQUIT);
}

std::string postgres_server::address(const std::string& with) const {
  return "postgresql://nestor:" + encoded(password) + "@" + encoded(folder_.string()) + "/postgres" + with;
}

std::string postgres_server::fresh_schema() {
  auto name = "s" + std::to_string(++schemas_);
  sql("create schema " + name);
  return address("?options=-csearch_path%3D" + name);
}

std::string postgres_server::sql(const std::string& statement) const {
  std::unique_ptr<PGconn, decltype(&PQfinish)> to{PQconnectdb(address().c_str()), &PQfinish};
  std::unique_ptr<PGresult, decltype(&PQclear)> got{PQexec(to.get(), statement.c_str()), &PQclear};
  INFO(PQerrorMessage(to.get()));
  REQUIRE((PQresultStatus(got.get()) == PGRES_COMMAND_OK || PQresultStatus(got.get()) == PGRES_TUPLES_OK));
  return PQntuples(got.get()) > 0 ? PQgetvalue(got.get(), 0, 0) : "";
}

std::string postgres_server::log() const {
  std::ifstream in{folder_ / "log", std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace nestor::tests
