// `nestor demo`: the whole of Nestor in half a minute, on this machine alone. Three sandboxes come up; one whose git
// token is refused is destroyed, with the reason; one whose nested server dies in the middle is replaced; a secret is
// rotated in a running one; everything is destroyed, and the process table proves it. Exit 0 only if all of that was
// so.
#include "local_node.hpp"
#include "timeline.hpp"
#include "verbs.hpp"

#include <nestor/io/clock.hpp>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

#include <unistd.h>

namespace nestor::cli {
namespace {

// One scene: a local process starts, is configured and answers; far less on an idle machine.
constexpr milliseconds scene_within{60'000};

std::shared_ptr<const nested::configuration> configuration_of(const std::string& git_token,
                                                              const std::string& deploy_key) {
  auto c = std::make_shared<nested::configuration>();
  c->settings =
    wiped_string{R"({"agent":"CodeActAgent","language":"en","llm_api_key":"demo-llm-key","llm_model":"demo/model"})"};
  c->secret_settings = {"/llm_api_key"};
  c->git_providers.push_back({"github", secret::copy_of(git_token), std::nullopt, std::nullopt});
  c->secrets.push_back({"DEPLOY_KEY", secret::copy_of(deploy_key), "rotated in the demo"});
  return c;
}

class demo {
public:
  explicit demo(const demo_options& o)
      : out_(stdout, o.colour, io::steady_now()), shown_(out_), server_(program_folder() + "/nestor-nested-server") {}

  int run() {
    if (::access(server_.c_str(), X_OK) != 0) {
      std::cerr << "nestor: demo: " << server_ << " is missing; build the target nestor-nested-server\n";
      return refused;
    }
    installation_ = node_.node().around().journal->installation().text;
    bool all = three_come_up() && refused_token() && dies_in_the_middle() && rotates_a_secret();
    return nothing_is_left() && all ? done : failed;
  }

private:
  sandbox_id create(const std::string& name, std::vector<std::string> command,
                    const std::string& git_token = "demo-token") {
    auto runtime = std::make_shared<runtime_spec>();
    runtime->command = std::move(command);
    auto spec = std::make_shared<sandbox_spec>();
    spec->name = name;
    spec->runtime = std::move(runtime);
    spec->configuration = configuration_of(git_token, "demo-deploy-key-1");
    auto answer = node_.ask<actors::accepted>(actors::create_sandbox{std::move(spec)});
    if (answer.refused)
      throw std::runtime_error{to_string(*answer.refused)};
    shown_.title(answer.id, name);
    return answer.id;
  }

  /// Shows what happens until each of `ids` satisfies `rested`; false when that takes too long or is interrupted.
  bool until(const std::vector<sandbox_id>& ids, const std::function<bool(const actors::status_changed&)>& rested) {
    auto deadline = io::steady_now() + scene_within;
    std::map<std::string, bool> there;
    while (there.size() < ids.size()) {
      auto letter = node_.next(milliseconds{500});
      if (letter && std::holds_alternative<interrupted>(*letter))
        return false;
      if (!letter && io::steady_now() > deadline)
        return false;
      if (!letter)
        continue;
      shown_.show(*letter);
      if (const auto* changed = std::get_if<actors::status_changed>(&*letter))
        for (const auto& id : ids)
          if (changed->id == id && rested(*changed))
            there[id.text] = true;
    }
    return true;
  }

  bool scene(std::string_view title, bool went_well) {
    out_.line(out_.in(went_well ? tone::good : tone::bad, went_well ? "as it should be: " : "NOT as it should be: ") +
              std::string{title});
    out_.line("");
    return went_well;
  }
  void announce(std::string_view text) { out_.line(out_.in(tone::strong, text)); }
  std::shared_ptr<const sandbox_view> see(const sandbox_id& id) {
    return node_.ask<actors::sandbox_seen>(actors::get_sandbox{id}).view;
  }

  bool three_come_up() {
    announce("1. Three sandboxes: real processes, each configured over HTTP and read back");
    for (const char* name : {"one", "two", "three"})
      running_.push_back(create(name, {server_, "--dialect", "openhands"}));
    return scene("three Ready", until(running_, [](const auto& now) { return now.word == status::ready; }));
  }

  bool refused_token() {
    announce("2. A git token that is refused: destroyed, with the reason");
    auto id = create("bad-token", {server_, "--dialect", "openhands"}, "bad-token");
    bool over = until({id}, [](const auto& now) { return ended(now.word); });
    auto seen = see(id);
    shown_.show_failure(*seen);
    return scene("destroyed, never served",
                 over && seen->word == status::failed && seen->why && seen->why->code == errc::git_token_refused);
  }

  bool dies_in_the_middle() {
    announce("3. A nested server that dies while it is configured: replaced, then Ready");
    auto marker = std::filesystem::temp_directory_path() / ("nestor-demo-" + std::to_string(::getpid()));
    auto script = "if [ -e '" + marker.string() + "' ]; then exec '" + server_ + "' --dialect openhands; fi; : > '" +
                  marker.string() + "'; exec '" + server_ + "' --dialect openhands --fault 'die@POST /api/secrets'";
    auto id = create("dies-once", {"/bin/sh", "-c", script});
    bool ready = until({id}, [](const auto& now) { return now.word == status::ready || ended(now.word); });
    std::filesystem::remove(marker);
    auto seen = see(id);
    running_.push_back(id);
    return scene("Ready on its second runtime", ready && seen->word == status::ready && seen->number == 2);
  }

  bool rotates_a_secret() {
    announce("4. A secret rotated in a running sandbox: the new generation is confirmed");
    auto id = running_.front();
    auto answer =
      node_.ask<actors::accepted>(actors::configure_sandbox{id, configuration_of("demo-token", "demo-deploy-key-2")});
    bool ready =
      !answer.refused && until({id}, [&](const auto& now) { return now.word == status::ready && now.observed == 2; });
    return scene("generation 2 confirmed", ready && see(id)->observed == 2);
  }

  /// Processes of this demo that the system still knows, by the marker in their environment.
  int processes_left() {
    int left = 0;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc", ignored}) {
      std::ifstream environment{entry.path() / "environ", std::ios::binary};
      std::string text{std::istreambuf_iterator<char>{environment}, {}};
      left += text.find(installation_) != std::string::npos ? 1 : 0;
    }
    return left;
  }

  bool nothing_is_left() {
    announce("5. Everything is destroyed");
    auto left = node_.node().drain_now(scene_within);
    while (auto letter = node_.next(milliseconds{0}))
      shown_.show(*letter);
    auto processes = processes_left();
    out_.line("sandboxes left: " + std::to_string(left) + ", processes left: " + std::to_string(processes));
    return scene("nothing is left", left == 0 && processes == 0);
  }

  terminal out_;
  timeline shown_;
  std::string server_;
  local_node node_{node_config{}};
  std::string installation_;
  std::vector<sandbox_id> running_;
};

} // namespace

int run_demo(const demo_options& o) {
  return demo{o}.run();
}

} // namespace nestor::cli
