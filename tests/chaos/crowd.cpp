#include "crowd.hpp"

#include "support/canary.hpp"

namespace nestor::tests {
namespace {

using nlohmann::json;

// Shares of a hundred acts on sandboxes that are there.
constexpr unsigned changes = 45;
constexpr unsigned ends = 75; // … and the rest pause or wake one

json hidden(const promised& what, const std::string& which) {
  return {{"$literal", std::string{canary_mark} + "-" + what.name + "-" + which}};
}

std::string body_of(const promised& what, const std::string& model) {
  json settings{{"llm_model", model}, {"llm_api_key", hidden(what, "key")}};
  json secrets{{"TOKEN", hidden(what, "value")}};
  json git{{"github", {{"token", hidden(what, "git")}}}};
  // Bad weather is not to end what a client was promised: it may try for as long as this test goes on.
  json policy{{"ready_within", "30m"}, {"restarts", {{"max", 8}, {"within", "1m"}}}};
  json runtime{{"image", "bare-agent"}, {"command", {"nestor-nested-server"}}, {"port", 3000}};
  return json{{"name", what.name},
              {"provider", what.provider},
              {"runtime", runtime},
              {"configuration", {{"settings", settings}, {"git_providers", git}, {"secrets", secrets}}},
              {"policy", policy}}
    .dump();
}

} // namespace

struct crowd::client {
  std::string name;
  std::mt19937_64 random;
  std::vector<promised> sandboxes{};
  std::size_t made = 0;
  std::size_t changed = 0;
  place at{};
  bool lost = false; ///< the latest request was not answered
  std::thread thread{};

  bool creates_next(std::size_t most) {
    std::size_t alive = 0;
    for (const auto& each : sandboxes)
      alive += each.ends || each.may_end ? 0 : 1;
    return alive == 0 || (alive < most && random() % 2 == 0);
  }
  /// One of those that nobody was told to end; null: none.
  promised* any() {
    std::vector<promised*> alive;
    for (auto& each : sandboxes)
      if (!each.id.empty() && !each.ends && !each.may_end)
        alive.push_back(&each);
    return alive.empty() ? nullptr : alive[random() % alive.size()];
  }
  /// What was asked and not answered; null: nothing.
  promised* open() {
    for (auto& each : sandboxes)
      if (each.id.empty() || (each.may_end && !each.ends))
        return &each;
    return nullptr;
  }
};

crowd::crowd(crowd_order order) : order_(std::move(order)) {
  for (std::size_t i = 0; i < order_.clients; ++i) {
    auto made = std::make_unique<client>(client{"c" + std::to_string(i), std::mt19937_64{order_.seed + i}});
    made->thread = std::thread{[this, &of = *made] { run(of); }};
    clients_.push_back(std::move(made));
  }
}

crowd::~crowd() {
  {
    std::lock_guard lock{mutex_};
    over_ = true;
  }
  bell_.notify_all();
  for (auto& each : clients_)
    each->thread.join();
}

void crowd::node_is(std::uint16_t port, const std::string& token) {
  {
    std::lock_guard lock{mutex_};
    where_ = {port, token, where_.number + 1};
  }
  bell_.notify_all();
}

void crowd::await(std::size_t more, std::chrono::milliseconds within) {
  std::unique_lock lock{mutex_};
  auto until = answered_ + more;
  bell_.wait_for(lock, within, [&] { return answered_ >= until; });
}

bool crowd::come_to_rest(std::chrono::milliseconds within) {
  rests_ = true;
  std::unique_lock lock{mutex_};
  return bell_.wait_for(lock, within, [&] { return resting_ == clients_.size(); });
}

std::vector<promised> crowd::all() const {
  std::vector<promised> everything;
  for (const auto& each : clients_)
    everything.insert(everything.end(), each->sandboxes.begin(), each->sandboxes.end());
  return everything;
}

std::vector<std::string> crowd::wrongs() const {
  std::lock_guard lock{mutex_};
  return wrongs_;
}

void crowd::wrong(std::string what) {
  std::lock_guard lock{mutex_};
  wrongs_.push_back(std::move(what));
}

void crowd::run(client& of) {
  for (;;) {
    {
      std::unique_lock lock{mutex_};
      bool done = rests_ && of.open() == nullptr;
      resting_ += done ? 1 : 0;
      if (done)
        bell_.notify_all();
      // Who was not answered waits for the next node; whoever rests, for the end.
      bell_.wait(lock,
                 [&] { return over_ || (!done && where_.port != 0 && (!of.lost || where_.number > of.at.number)); });
      if (over_)
        return;
      of.at = where_;
      of.lost = false;
    }
    act(of);
  }
}

void crowd::act(client& of) {
  if (auto* open = of.open())
    return open->id.empty() ? create(of, *open) : end(of, *open);
  if (rests_)
    return;
  if (of.creates_next(order_.sandboxes)) {
    auto& made = of.sandboxes.emplace_back();
    made.name = of.name + "-" + std::to_string(++of.made);
    made.provider = order_.providers[of.random() % order_.providers.size()];
    return create(of, made);
  }
  auto* one = of.any();
  if (one == nullptr)
    return;
  auto what = of.random() % 100;
  what < changes ? change(of, *one) : what < ends ? end(of, *one) : rest(of, *one);
}

answer_seen crowd::ask(client& of, const std::string& method, const std::string& target, const std::string& body,
                       const std::string& more) {
  raw_connection to{of.at.port};
  auto length = body.empty() ? std::string{} : "Content-Length: " + std::to_string(body.size()) + "\r\n";
  auto type =
    body.empty() || more.find("Content-Type") != std::string::npos ? "" : "Content-Type: application/json\r\n";
  to.send(method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer " +
          of.at.token + "\r\n" + length + type + more + "\r\n" + body);
  auto seen = parse_answer(to.read_to_end());
  of.lost = seen.status == 0;
  if (seen.status == 404 || seen.status == 500)
    wrong(method + " " + target + ": " + std::to_string(seen.status) + " " + seen.body);
  {
    std::lock_guard lock{mutex_};
    answered_ += of.lost ? 0 : 1;
  }
  bell_.notify_all();
  return seen;
}

/// With the same name and key each time: the first that comes through makes it, the others find it.
void crowd::create(client& of, promised& what) {
  auto model = "m-" + what.name + "-0";
  auto seen = ask(of, "POST", "/v1/sandboxes", body_of(what, model), "Idempotency-Key: key-" + what.name + "\r\n");
  if (seen.status == 202) {
    what.id = seen.json().value("id", "");
    what.models[1] = model;
  } else if (seen.status != 0 && seen.status != 429 && seen.status != 503) {
    wrong("create " + what.name + ": " + std::to_string(seen.status) + " " + seen.body);
  }
}

void crowd::change(client& of, promised& what) {
  auto model = "m-" + what.name + "-" + std::to_string(++of.changed);
  auto patch = json{{"settings", {{"llm_model", model}}}}.dump();
  what.unsure.insert(model);
  auto seen = ask(of, "PATCH", "/v1/sandboxes/" + what.id + "/configuration", patch,
                  "Content-Type: application/merge-patch+json\r\nIf-Match: *\r\n");
  if (seen.status == 202)
    what.models[seen.json().value("generation", std::uint64_t{0})] = model;
  if (seen.status != 0)
    what.unsure.erase(model);
}

void crowd::end(client& of, promised& what) {
  what.may_end = true;
  if (ask(of, "DELETE", "/v1/sandboxes/" + what.id).status == 202)
    what.ends = true;
}

void crowd::rest(client& of, promised& what) {
  ask(of, "POST", "/v1/sandboxes/" + what.id + (of.random() % 2 == 0 ? "/pause" : "/resume"));
}

} // namespace nestor::tests
