// Reasons that the walks over the machine reach but do not look for by name.
#include <nestor/supervision/resume.hpp>

#include <catch2/catch.hpp>

#include <vector>

using namespace nestor;
using namespace nestor::supervision;

TEST_CASE("a sandbox that is not started in time is given up, and says that it waited too long") {
  policy p;
  state s;
  std::vector<any_command> commands;
  feed(p, s, event::enqueued{}, instant{}, commands);
  feed(p, s, event::tick{}, instant{} + p.queue_within + milliseconds{1}, commands);
  REQUIRE(s.why);
  CHECK(s.why->code == errc::queue_timeout);
}

TEST_CASE("a sandbox that is not Ready in time is given up, and says what failed last") {
  policy p;
  state s;
  std::vector<any_command> commands;
  instant now{};
  feed(p, s, event::enqueued{}, now, commands);
  feed(p, s, event::started{}, now, commands);
  feed(p, s, event::authenticated{}, now, commands);
  feed(p, s, event::recorded{s.awaited}, now, commands);
  feed(p, s, event::provisioned{s.number}, now, commands);
  feed(p, s, event::run_failed{s.run, {errc::nested_error, step::settings, "made up", 0, {}}}, now, commands);
  feed(p, s, event::tick{}, now + p.ready_within, commands);
  REQUIRE(s.why);
  CHECK(s.why->code == errc::deadline_exceeded);
  CHECK_THAT(s.why->cause, Catch::Contains("nested_error"));
}

TEST_CASE("a sandbox of an earlier process says so until it was looked at") {
  left_behind left;
  left.last = memo{};
  left.last->open = true;
  left.last->number = 1;
  left.last->observed = 1;
  left.restarted = true;
  auto s = resume(policy{}, left, instant{});
  REQUIRE(s.why);
  CHECK(s.why->code == errc::recovering);
  left.restarted = false;
  CHECK(resume(policy{}, left, instant{}).why->code == errc::supervisor_crashed);
}
