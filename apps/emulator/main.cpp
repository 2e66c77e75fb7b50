// nestor-emulator: cloud providers on loopback, for development without accounts and for tests. Options are read here
// and nowhere else. It prints where it listens and which keys are good, and nothing about requests.
#include <emulator/child_machines.hpp>
#include <emulator/emulator_sites.hpp>
#include <emulator/grpc_front.hpp>
#include <emulator/memory_machines.hpp>
#include <emulator/timers.hpp>
#include <emulator/tls_front.hpp>

#include <nested_server/listener.hpp>

#include <nestor/io/clock.hpp>
#include <nestor/io/entropy.hpp>

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

using namespace nestor;
using namespace nestor::emulator;
namespace fs = std::filesystem;

constexpr int exit_usage = 2;
constexpr int exit_failed = 1;

struct options {
  std::map<std::string, std::uint16_t> ports; ///< by cloud; none named: all of them, on free ports
  std::map<std::string, std::string> keys;
  std::vector<std::string> key_words;
  std::uint16_t admin = 0;
  std::vector<std::string> faults;
  std::uint64_t seed = 0;
  bool in_memory = false;
  std::string record;
  std::string tls;
  std::int64_t boot_ms = 150;
  std::uint32_t creates_per_second = 0;
  std::size_t sandboxes_max = 0;
};

void describe(CLI::App& app, options& o) {
  for (const auto& row : cloud_table())
    app.add_option_function<std::uint16_t>(
      "--" + std::string{row.name}, [&o, name = std::string{row.name}](std::uint16_t port) { o.ports[name] = port; },
      std::string{row.summary} + ", on this port; 0 takes a free one");
  app.add_option("--admin", o.admin, "Port of the judge's routes; 0 takes a free one")->capture_default_str();
  app.add_option("--key", o.key_words, "CLOUD=KEY: the credential that is good there; may be repeated");
  app.add_option("--fault", o.faults, "Misbehave, everywhere; may be repeated, see below");
  app.add_option("--seed", o.seed, "Of ids, tokens and draws; 0 takes a random one")->capture_default_str();
  app.add_flag("--in-memory", o.in_memory, "Nested servers are models, commands a handful of built-in ones");
  app.add_option("--record", o.record, "Write what was asked to this file at the end, without keys");
  app.add_option("--tls", o.tls,
                 "Speak TLS on the clouds' ports, with the certificate in this folder; made there with its own "
                 "authority, ca.pem, unless it is there");
  app.add_option("--boot-ms", o.boot_ms, "A sandbox takes so long to start")->capture_default_str();
  app.add_option("--creates-per-second", o.creates_per_second, "More are throttled; 0: no limit")
    ->capture_default_str();
  app.add_option("--sandboxes-max", o.sandboxes_max, "More at a time are refused; 0: no limit")->capture_default_str();
  app.footer("Keys that end in \"deadbeef\" instead of their last eight characters are known but may create nothing.\n"
             "Images named no-such… do not exist, those named bare… start no nested server by themselves.\n\n" +
             mishap_help());
}

/// "daytona=dtn_…" for a cloud that there is; what is wrong, else nothing.
std::optional<std::string> read_keys(options& o) {
  for (const auto& word : o.key_words) {
    auto equals = word.find('=');
    auto name = word.substr(0, equals);
    auto rows = cloud_table();
    bool known = std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.name == name; });
    if (equals == std::string::npos || !known)
      return "--key takes CLOUD=KEY, not '" + word + "'";
    o.keys[name] = word.substr(equals + 1);
  }
  return std::nullopt;
}

/// A folder of our own that is gone when we are.
struct scratch_folder {
  fs::path path;
  scratch_folder() {
    auto pattern = (fs::temp_directory_path() / "nestor-emulator-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      throw std::runtime_error("cannot make a folder below " + fs::temp_directory_path().string());
    path = pattern;
  }
  ~scratch_folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
};

/// Our own programs come first: sandboxes run nestor-nested-server by its name.
void prefer_our_programs() {
  auto folder = fs::read_symlink("/proc/self/exe").parent_path().string();
  const char* path = std::getenv("PATH");
  ::setenv("PATH", (folder + ":" + (path ? path : "/usr/bin:/bin")).c_str(), 1); // before there is any thread
}

class whole_emulator {
public:
  whole_emulator(options given, std::vector<mishap> planned) : o_(std::move(given)), planned_(std::move(planned)) {
    if (o_.seed == 0)
      o_.seed = nestor::io::random_seed();
    if (o_.in_memory)
      inside_ = std::make_unique<memory_machines>(time_);
    else
      inside_ = std::make_unique<child_machines>(server_.io(), child_machines_options{.folder = scratch_.path});
  }

  int run() {
    server_.stop_on_signals();
    if (!o_.tls.empty()) {
      make_certificates(o_.tls);
      front_.emplace(server_.io(), o_.tls);
      std::cout << "trust " << fs::absolute(o_.tls).lexically_normal().string() << "/ca.pem" << std::endl;
    }
    for (const auto& row : cloud_table())
      if (o_.ports.contains(std::string{row.name}) || (o_.ports.empty() && can_serve(row)))
        open(row);
    auto port = server_.listen("127.0.0.1", o_.admin, std::make_shared<admin_site>(clouds_, kept_));
    std::cout << "admin on http://127.0.0.1:" << port << std::endl;
    server_.run();
    if (!o_.record.empty() && !(std::ofstream{o_.record} << kept_.text()))
      throw std::runtime_error("cannot write " + o_.record);
    return 0;
  }

private:
  /// Whether this build has what it speaks; asked for by name it is an error.
  static bool can_serve([[maybe_unused]] const cloud_row& row) {
#ifdef NESTOR_GRPC
    return true;
#else
    return !row.rpc;
#endif
  }

  /// The port is known only when it listens, and the cloud must know how it is reached: so the site comes second.
  void open(const cloud_row& row) {
    std::string name{row.name};
    auto door = std::make_shared<later_site>();
    auto wished = o_.ports.contains(name) ? o_.ports[name] : std::uint16_t{0};
    auto wished_http = row.rpc ? std::uint16_t{0} : wished; // of sandboxes' ports only, where the cloud speaks gRPC
    auto port = server_.listen("127.0.0.1", front_ ? std::uint16_t{0} : wished_http, door);
    if (front_)
      port = front_->listen(wished_http, port);
    cloud_options c;
    if (row.rpc) {
      c.domain = name + ".localhost:" + std::to_string(port);
      port = rpc_.listen(wished, o_.tls, door);
    }
    c.key = o_.keys.contains(name) ? o_.keys[name] : std::string{row.key};
    c.base = (front_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port);
    auto base = c.base;
    c.boots_in = milliseconds{o_.boot_ms};
    c.creates_per_second = o_.creates_per_second;
    c.sandboxes_max = o_.sandboxes_max;
    c.seed = o_.seed;
    c.epoch_ms = nestor::io::wall_now().ms - nestor::io::steady_now().us / 1'000;
    auto key = c.key;
    auto made = make_cloud(row.name, std::move(c), {time_, *inside_});
    door->site =
      std::make_shared<cloud_site>(name, troubled_cloud{std::move(made), time_, mishap_plan{planned_, o_.seed}}, kept_);
    clouds_[name] = door->site;
    std::cout << name << " on " << base << " key " << key << std::endl;
  }

  struct later_site final : nested_server::site {
    std::shared_ptr<cloud_site> site;
    [[nodiscard]] bool reads_every_header() const override { return true; }
    void serve(const http::request& request, instant now, std::string_view client, const caller& back) override {
      site->serve(request, now, client, back);
    }
  };

  options o_;
  std::vector<mishap> planned_;
  scratch_folder scratch_;
  nested_server::listener server_;
  timers time_{server_.io()};
  recording kept_;
  std::optional<tls_front> front_;
  std::unique_ptr<machines> inside_;
  std::map<std::string, std::shared_ptr<cloud_site>> clouds_;
  grpc_front rpc_{server_.io()};
};

int usage(const std::string& what) {
  std::cerr << "nestor-emulator: " << what << "\n";
  return exit_usage;
}

} // namespace

int main(int argc, char** argv) {
  options o;
  CLI::App app{"Cloud providers on loopback, as their own SDKs know them, with faults on command."};
  describe(app, o);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) { return app.exit(e) == 0 ? 0 : exit_usage; }
  if (auto wrong = read_keys(o))
    return usage(*wrong);
  std::vector<mishap> planned;
  for (const auto& spec : o.faults) {
    auto one = parse_mishap(spec);
    if (!one)
      return usage(one.error().cause);
    planned.push_back(std::move(*one));
  }
  try {
    ::setenv("GRPC_VERBOSITY", "NONE", 0); // what a client did wrong is the client's to tell
    prefer_our_programs();
    return whole_emulator{std::move(o), std::move(planned)}.run();
  } catch (const std::exception& e) {
    std::cerr << "nestor-emulator: " << e.what() << "\n";
    return exit_failed;
  }
}
