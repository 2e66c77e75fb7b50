// The provider contract's rules against every provider that the emulator knows, in every weather it can make: each
// operation's conversation alone, without a node, with the mishap at each of its requests. What a rule says is held
// against the cloud's own truth. No provider is special-cased; what all kinds make of refusals is
// unit/providers/contract_test.cpp.
#include "rented_world.hpp"

#include <unit/providers/conversation.hpp>

#include <emulator/mishap.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::tests;
using namespace std::chrono_literals;

namespace {

/// Every kind of the emulator's table, those with an argument also with a long one.
std::vector<std::string> all_weather() {
  std::vector<std::string> all;
  for (const auto& row : emulator::mishap_table()) {
    all.emplace_back(row.name);
    if (!row.argument.empty() && row.fallback * 20 <= row.most)
      all.push_back(std::string{row.name} + ":" + std::to_string(row.fallback * 20));
  }
  return all;
}

/// An account at one cloud whose weather is fair until it is told otherwise.
struct tenancy {
  const provider& kind;
  emulator::virtual_clockwork time;
  rented_world clouds;
  account who;
  provision_order order;

  explicit tenancy(const provider& k) : kind(k), clouds(time, {std::string{k.kind}}, 1), order(order_for(k)) {
    auto book = accounts_of_clouds();
    const auto* source = account_named(*book, k.kind);
    REQUIRE(source);
    who = source->plain;
    for (const auto& [name, reference] : source->secrets)
      who.secrets.emplace_back(name, *keys_of_clouds()(reference.kind, reference.name));
    auto spec = std::make_shared<runtime_spec>(*order.spec);
    spec->image = "bare-agent";
    spec->port = emulator::usual_port;
    order.spec = std::move(spec);
    if (kind.authenticate)
      who.proven = *hold(kind.authenticate, no_order{}).result();
  }
  template <class Result, class Order>
  held<Result> hold(operation<Result, Order> what, const Order& with) {
    held<Result> all;
    heard so_far;
    io_reply reply;
    wiped_string carried;
    auto began = time.now();
    for (;;) {
      so_far.elapsed = all.took = std::chrono::duration_cast<milliseconds>(time.now() - began);
      auto step = what(who, with, so_far);
      if (auto* result = std::get_if<Result>(&step))
        return all.came = std::move(*result), all;
      if (auto* why = std::get_if<failure>(&step))
        return all.came = std::move(*why), all;
      auto question = std::get<ask>(std::move(step));
      CHECK_FALSE(carries_key_astray(who, question.request)); // R9
      passes(question.after);
      bool heard_of_it = false;
      clouds.ask(question.request, [&](io_reply r) { reply = std::move(r), heard_of_it = true; });
      while (!heard_of_it && time.step()) {}
      carried = question.carried;
      so_far = {question.at, &reply, carried, so_far.asked + 1, {}};
      all.asked.push_back(std::move(question));
      REQUIRE(all.asked.size() <= questions_max); // R10
    }
  }
  void passes(milliseconds how_long) {
    if (how_long.count() == 0)
      return; // what is scheduled refers to this frame
    bool over = false;
    time.after(how_long, [&] { over = true; });
    while (!over && time.step()) {}
  }
  /// The mishap at the nth request from now on.
  void weather(const std::string& mishap, int n) { clouds.plan(kind.kind, {mishap + "#" + std::to_string(n)}); }
  /// Whether it came about; fair again.
  bool clears() {
    bool hit = clouds.cloud(kind.kind).plan().hits() > 0;
    clouds.plan(kind.kind, {});
    return hit;
  }
  auto rented() const { return clouds.rented(kind.kind); }
  /// What that operation has left is found again and ended, as often as it takes (R7).
  void leave_nothing() {
    for (int i = 0; i < 3 && !rented().empty(); ++i) {
      auto seen = hold(kind.observe, order);
      if (seen.result() && std::holds_alternative<runtime>(*seen.result()))
        CHECK(hold(kind.destroy, std::get<runtime>(*seen.result())).result());
      auto other = kind.twin ? hold(kind.twin, order.stamp) : held<sighting>{};
      if (other.result() && std::holds_alternative<runtime>(*other.result()))
        CHECK(hold(kind.destroy, std::get<runtime>(*other.result())).result());
    }
    CHECK(rented().empty());
  }
  runtime provisioned() {
    auto came = hold(kind.provision, order);
    INFO((came.why() ? to_string(*came.why()) : ""));
    REQUIRE(came.result());
    return *came.result();
  }
};

/// That of every provider in every weather, with it at each request of what `act` does; `act` tells whether it hit.
template <class Act>
void in_all_weather(Act&& act) {
  constexpr int requests_max = 100;
  for (const auto& name : rented_kinds())
    for (const auto& mishap : all_weather()) {
      int n = 0;
      bool hit = true;
      while (hit && ++n < requests_max) {
        INFO(name << " under " << mishap << "#" << n);
        tenancy at{*of_kind(name)};
        hit = act(at, mishap, n);
      }
      CHECK(n < requests_max);
    }
}

bool twice(const std::string& mishap) {
  return mishap == "duplicate";
}

} // namespace

TEST_CASE("R3 in all weather: a proof leaves nothing, and is one or says why not", "[lives]") {
  in_all_weather([](tenancy& at, const std::string& mishap, int n) {
    at.weather(mishap, n);
    if (!at.kind.authenticate)
      return false;
    at.hold(at.kind.authenticate, no_order{});
    CHECK(at.rented().empty());
    return at.clears();
  });
}

TEST_CASE("R4 and R5 in all weather: what was created carries its labels, what is said not to be there is not",
          "[lives]") {
  in_all_weather([](tenancy& at, const std::string& mishap, int n) {
    at.weather(mishap, n);
    auto came = at.hold(at.kind.provision, at.order);
    auto hit = at.clears();
    INFO((came.why() ? to_string(*came.why()) : "it was rented"));
    CHECK(came.took <= at.kind.provision_within); // R10
    auto there = at.rented();
    if (came.result())
      CHECK((there.size() == 1 || (twice(mishap) && there.size() == 2)));
    for (const auto& each : there) {
      auto bears = [&](const std::string& value) {
        return each.name.find(value) != std::string::npos ||
               std::ranges::any_of(each.labels, [&](const auto& label) { return label.second == value; });
      };
      CHECK(bears(at.order.stamp.sandbox.text));
    }
    bool unknown = came.why() && came.why()->code == errc::create_unknown;
    at.passes(10min); // what takes effect late
    if (came.why() && !unknown)
      CHECK(at.rented().empty());
    at.passes(at.kind.create_settles);
    auto seen = at.hold(at.kind.observe, at.order); // R6: by now it is found, or not there
    if (seen.result() && std::holds_alternative<absent>(*seen.result()))
      CHECK(at.rented().empty());
    at.leave_nothing();
    return hit;
  });
}

TEST_CASE("R6 in all weather: what is there is found or not known, and never absent", "[lives]") {
  in_all_weather([](tenancy& at, const std::string& mishap, int n) {
    auto ref = at.provisioned().ref;
    at.weather(mishap, n);
    auto seen = at.hold(at.kind.observe, at.order);
    auto hit = at.clears();
    REQUIRE((seen.why() || std::holds_alternative<runtime>(*seen.result())));
    if (seen.result())
      CHECK(std::get<runtime>(*seen.result()).ref == ref);
    at.leave_nothing();
    return hit;
  });
}

TEST_CASE("R6 in all weather: a list shows what is there, on all its pages, or says that it could not", "[lives]") {
  in_all_weather([](tenancy& at, const std::string& mishap, int n) {
    if (!at.kind.list)
      return false;
    std::vector<std::string> refs;
    for (attempt number = 1; number <= 4; ++number) {
      at.order.stamp.number = number;
      refs.push_back(at.provisioned().ref);
    }
    at.weather(mishap, n);
    list_order pages{at.order.stamp.installation, {}};
    std::vector<std::string> found;
    bool all = true;
    do {
      auto page = at.hold(at.kind.list, pages);
      all = page.result() != nullptr;
      pages.cursor = all ? page.result()->next : "";
      for (const auto& each : all ? page.result()->items : std::vector<listed>{})
        found.push_back(each.ref);
    } while (!pages.cursor.empty());
    auto hit = at.clears();
    for (const auto& ref : refs)
      CHECK((!all || std::ranges::count(found, ref) >= 1));
    return hit;
  });
}

TEST_CASE("R7 in all weather: absent is said when nothing is there, and an end may be told again", "[lives]") {
  in_all_weather([](tenancy& at, const std::string& mishap, int n) {
    auto here = at.provisioned();
    at.weather(mishap, n);
    auto gone = at.hold(at.kind.destroy, here);
    auto hit = at.clears();
    INFO((gone.why() ? to_string(*gone.why()) : "absent"));
    CHECK(gone.took <= at.kind.destroy_within); // R10
    if (gone.result())
      CHECK(at.rented().empty());
    for (int i = 0; i < 2; ++i)
      CHECK(at.hold(at.kind.destroy, here).result());
    CHECK(at.rented().empty());
    return hit;
  });
}

TEST_CASE("in all weather: rest, address and lease lose no runtime", "[lives]") {
  in_all_weather([](tenancy& at, const std::string& mishap, int n) {
    auto here = at.provisioned();
    at.weather(mishap, n);
    if (at.kind.can.leases)
      at.hold(at.kind.renew, renew_order{here, 10min});
    if (at.kind.address)
      at.hold(at.kind.address, here);
    if (at.kind.can.pauses) {
      at.hold(at.kind.pause, here);
      at.hold(at.kind.resume, here);
    }
    auto hit = at.clears();
    // What such weather makes of a runtime that wakes up is the provider's: it stays on its way, or has failed.
    bool spoils = mishap == "never-ready" || mishap == "wrong-state";
    CHECK((spoils || at.rented().size() == 1));
    auto gone = at.hold(at.kind.destroy, here);
    CHECK((spoils || gone.result()));
    CHECK(at.rented().empty() == (gone.result() != nullptr));
    return hit;
  });
}
