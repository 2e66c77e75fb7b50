// Traces of starts: whose they are, what they hold, and what a collector is sent.
#include <nestor/api/trace_book.hpp>

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using nlohmann::json;

namespace {

constexpr std::string_view parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

api::trace_seed seed() {
  api::trace_seed made;
  made.trace.fill(0x11);
  made.span = 0xff;
  return made;
}

json spans_of(const std::optional<std::string>& spans) {
  REQUIRE(spans);
  auto body = json::parse(api::otlp_body(*spans, "1.2", "nsi-x"));
  return body["resourceSpans"][0]["scopeSpans"][0]["spans"];
}

} // namespace

TEST_CASE("a traceparent is read as the standard says, or not at all") {
  auto read = api::read_traceparent(parent);
  REQUIRE(read);
  CHECK(read->sampled);
  CHECK(api::to_text(*read) == parent);
  CHECK_FALSE(api::read_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")->sampled);
  CHECK(api::read_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"));
  for (const std::string bad : {"", "00", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
                                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g"}) {
    INFO(bad);
    CHECK_FALSE(api::read_traceparent(bad));
  }
}

TEST_CASE("a start is one trace: a root, and a span for each step with what became of it") {
  api::trace_book book;
  book.begin("nst-a", seed(), wall_time{1'000}, "acme");
  book.step_began("nst-a", step::queue, wall_time{1'000});
  book.step_ended("nst-a", step::queue, wall_time{1'200}, milliseconds{200}, 1, 0, std::nullopt);
  book.step_began("nst-a", step::settings, wall_time{1'200});
  auto at_work = book.context_of("nst-a");
  REQUIRE(at_work);
  book.step_ended("nst-a", step::settings, wall_time{1'500}, milliseconds{300}, 2, 7,
                  failure{errc::nested_error, step::settings, "it said no", 0, {}});
  auto spans = spans_of(book.end("nst-a", wall_time{1'600}, "Ready", std::nullopt));
  REQUIRE(spans.size() == 3);
  CHECK(spans[0]["name"] == "sandbox start");
  CHECK_FALSE(spans[0].contains("parentSpanId"));
  CHECK(spans[0]["startTimeUnixNano"] == "1000000000");
  CHECK(spans[0]["endTimeUnixNano"] == "1600000000");
  CHECK(spans[2]["name"] == "settings");
  CHECK(spans[2]["spanId"].get<std::string>() == api::to_text(*at_work).substr(36, 16));
  CHECK(spans[2]["parentSpanId"] == spans[0]["spanId"]);
  CHECK(spans[2]["status"]["code"] == 2);
  CHECK(spans[2].dump().find("it said no") == std::string::npos); // a cause may quote what others wrote
  CHECK(spans[1]["status"]["code"] == 1);
  CHECK(book.open() == 0);
  CHECK_FALSE(book.end("nst-a", wall_time{2'000}, "Destroyed", std::nullopt));
}

TEST_CASE("a start that somebody else traces belongs to their trace, and is told only if theirs is") {
  api::trace_book book;
  book.begin("nst-a", seed(), wall_time{1'000}, "acme");
  REQUIRE(book.join("nst-a", *api::read_traceparent(parent)));
  auto spans = spans_of(book.end("nst-a", wall_time{1'600}, "Failed", errc::auth_refused));
  CHECK(spans[0]["traceId"] == "0af7651916cd43dd8448eb211c80319c");
  CHECK(spans[0]["parentSpanId"] == "b7ad6b7169203331");
  CHECK(spans[0]["status"]["code"] == 2);

  book.begin("nst-b", seed(), wall_time{1'000}, "acme");
  auto silent = *api::read_traceparent(parent);
  silent.sampled = false;
  REQUIRE(book.join("nst-b", silent));
  CHECK(api::to_text(*book.context_of("nst-b")).ends_with("-00"));
  CHECK_FALSE(book.end("nst-b", wall_time{1'600}, "Ready", std::nullopt));
  CHECK_FALSE(book.join("nst-c", silent));
}

TEST_CASE("a start that repeats its steps for ever keeps a bounded number of them") {
  api::trace_book book;
  book.begin("nst-a", seed(), wall_time{1'000}, "acme");
  for (std::size_t i = 0; i < 3 * api::trace_book::spans_max; ++i) {
    book.step_began("nst-a", step::alive, wall_time{1'000});
    book.step_ended("nst-a", step::alive, wall_time{1'001}, milliseconds{1}, 1, 1, std::nullopt);
  }
  CHECK(spans_of(book.end("nst-a", wall_time{2'000}, "Failed", errc::alive_timeout)).size() ==
        1 + api::trace_book::spans_max);
}
