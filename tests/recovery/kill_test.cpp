// kill -9 at random instants, over and over, on a node that is busy with real processes and a real server: what was
// promised is kept, nothing is left over, nothing is served half-configured.
#include "recovery/life.hpp"
#include "support/canary.hpp"
#include "support/run_program.hpp"

#include <nestor/io/guardian_protocol.hpp>
#include <nestor/io/process_list.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>
#include <sstream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX's
#include <sys/socket.h>

namespace nestor::tests {
namespace {

struct promises {
  std::string installation;
  std::set<std::string> accepted;
  std::set<std::string> ending;

  void hear(const std::string& line) {
    std::istringstream words{line};
    std::string word;
    std::string id;
    words >> word >> id;
    if (word == "up") {
      if (!installation.empty())
        CHECK(installation == id);
      installation = id;
    } else if (word == "accepted") {
      CHECK(accepted.insert(id).second);
    } else if (word == "ending") {
      ending.insert(id);
    }
    CHECK(word != "refused");
  }
};

/// Guardians of that installation, by sandbox.
std::map<std::string, int> guardians_of(const std::string& installation) {
  std::map<std::string, int> found;
  for (const auto& entry : io::all_processes()) {
    if (entry.dead() || entry.name != io::guardian::program)
      continue;
    auto arguments = io::arguments_of(entry.pid);
    if (arguments.size() <= io::guardian::argument_command)
      continue;
    std::istringstream marker{arguments[io::guardian::argument_marker]}; // installation/sandbox/attempt
    std::string owner;
    std::string sandbox;
    std::getline(marker, owner, '/');
    std::getline(marker, sandbox, '/');
    if (owner == installation)
      ++found[sandbox];
  }
  return found;
}

/// What a server of ours on loopback answers to a GET.
std::string get(const std::string& url, const std::string& target, const std::string& key) {
  auto at = url.find("://") + 3;
  auto slash = std::min(url.find('/', at), url.size());
  auto authority = url.substr(at, slash - at);
  auto port = std::stoi(authority.substr(authority.find(':') + 1));
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) {
    auto text = "GET " + url.substr(slash) + target + " HTTP/1.1\r\nHost: " + authority + "\r\nConnection: close\r\n" +
                (key == "-" ? "" : "X-Session-API-Key: " + key + "\r\n") + "\r\n";
    (void)!::write(fd, text.data(), text.size());
    char chunk[4096];
    for (ssize_t size = 0; (size = ::read(fd, chunk, sizeof chunk)) > 0;)
      answer.append(chunk, static_cast<std::size_t>(size));
  }
  ::close(fd);
  return answer;
}

struct audit {
  std::set<std::string> alive;
  std::set<std::string> ended;
  std::set<std::string> ready;
};

/// The last life: everything comes to rest, and what it says is compared with the world.
audit come_to_rest(const life_order& order, promises& all) {
  auto restful = order;
  restful.what = life_order::doing::rest;
  life last{restful};
  audit found;
  for (;;) {
    auto line = last.line(120'000);
    REQUIRE(line);
    if (*line == "rested")
      break;
    all.hear(*line);
    std::istringstream words{*line};
    std::string word;
    std::string id;
    std::string generation;
    std::string url;
    std::string key;
    words >> word >> id >> generation >> url >> key;
    if (word == "alive")
      UNSCOPED_INFO(*line), found.alive.insert(id);
    if (word == "ended")
      found.ended.insert(id);
    if (word != "ready")
      continue;
    found.ready.insert(id);
    auto settings = get(url, "/api/settings", key);
    INFO(*line << "\n" << settings);
    CHECK(settings.find("\"generation-" + generation + "\"") != std::string::npos); // never Ready half-configured
    CHECK(settings.find("github") != std::string::npos);
    CHECK(get(url, "/api/secrets", key).find("TOKEN") != std::string::npos);
  }
  CHECK(last.wait() == 0);
  return found;
}

/// Whatever a test that failed left behind.
struct clean_up {
  const promises& all;
  ~clean_up() {
    for (const auto& entry : io::all_processes())
      if (auto arguments = io::arguments_of(entry.pid);
          entry.name == io::guardian::program && !all.installation.empty() &&
          arguments.size() > io::guardian::argument_marker &&
          arguments[io::guardian::argument_marker].starts_with(all.installation))
        ::kill(static_cast<pid_t>(entry.pid), SIGTERM);
  }
};

void nothing_is_told(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator{folder})
    if (entry.path().filename().string().starts_with("journal.db"))
      CHECK(canary_in(contents_of(entry.path().string())).empty());
}

void kill_again_and_again(int times, std::uint64_t seed) {
  scratch_folder folder;
  background_program server{{server_binary(), "--port", "0", "--no-rate-limit"}};
  REQUIRE(server.shows("\n"));
  auto said = server.shown();
  auto colon = said.rfind(':');
  REQUIRE(colon != std::string::npos);
  life_order order;
  order.folder = folder.file("");
  order.bin = NESTOR_BIN_DIR;
  order.static_server = "http://127.0.0.1:" + std::to_string(std::stoi(said.substr(colon + 1)));
  std::mt19937_64 random{seed};
  promises all;
  clean_up after{all};
  for (int i = 0; i < times; ++i) {
    INFO("kill " << i << " of seed " << seed);
    order.seed = random();
    life one{order};
    for (bool up = false; !up;) {
      auto line = one.line(60'000);
      REQUIRE(line);
      all.hear(*line);
      up = line->starts_with("up ");
    }
    // A random number of words, and a random moment after the last of them.
    for (auto words = random() % 120; words > 0; --words) {
      auto line = one.line(10'000);
      REQUIRE(line);
      all.hear(*line);
    }
    for (auto moment = static_cast<int>(random() % 30); moment > 0;) {
      auto line = one.line(moment);
      if (!line)
        break;
      all.hear(*line);
      --moment;
    }
    one.kill();
    while (auto line = one.line(0)) // said before it died
      all.hear(*line);
    nothing_is_told(order.folder);
  }

  auto found = come_to_rest(order, all);
  for (const auto& id : all.accepted) {
    INFO(id);
    CHECK(found.alive.contains(id) + found.ended.contains(id) == 1); // nothing is lost
  }
  for (const auto& id : all.ending)
    CHECK(found.ended.contains(id)); // an end that was promised came
  CHECK(found.alive == found.ready); // all of it converged
  for (const auto& [sandbox, count] : guardians_of(all.installation)) {
    INFO(sandbox);
    CHECK(found.alive.contains(sandbox)); // nothing is left over
    CHECK(count == 1);                    // and nothing is there twice
  }
  WARN(times << " kills: " << all.accepted.size() << " sandboxes promised, " << all.ending.size() << " ends promised, "
             << found.ready.size() << " Ready at the end");

  order.what = life_order::doing::drain;
  life last{order};
  while (last.line(120'000)) {}
  CHECK(last.wait() == 0);
  CHECK(guardians_of(all.installation).empty());
  nothing_is_told(order.folder);
}

} // namespace

TEST_CASE("a node that is killed 20 times loses nothing and leaves nothing") {
  kill_again_and_again(20, 1);
}

TEST_CASE("a node that is killed 300 times loses nothing and leaves nothing", "[.long]") {
  kill_again_and_again(300, 2);
}

} // namespace nestor::tests
