// Lines of the log: one event, one line, whatever the fields hold.
#include <nestor/node/log_line.hpp>

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;

TEST_CASE("a line is one JSON object, or words that a person reads") {
  log_line line{wall_time{0}, log_level::warning, "sandbox.step"};
  line.with("sandbox", "nst-a").with("cause", "it said \"no\"\nand left").with("attempt", 3).with("tenant", "");
  auto read = nlohmann::json::parse(line.text(log_format::json));
  CHECK(read["time"] == "1970-01-01T00:00:00.000Z");
  CHECK(read["level"] == "warning");
  CHECK(read["event"] == "sandbox.step");
  CHECK(read["cause"] == "it said \"no\"\nand left");
  CHECK(read["attempt"] == 3);
  CHECK_FALSE(read.contains("tenant"));
  CHECK(line.text(log_format::text) == "1970-01-01T00:00:00.000Z warning sandbox.step sandbox=nst-a "
                                       "cause=\"it said \\\"no\\\"\\nand left\" attempt=3\n");
}

TEST_CASE("no field makes a line longer than a pipe takes whole, or makes two of one") {
  for (auto as : {log_format::text, log_format::json}) {
    log_line line{wall_time{0}, log_level::info, "x"};
    for (const char* name : {"a", "b", "c", "d", "e", "f"})
      line.with(name, std::string(5'000, '\xff'));
    auto text = line.with("last", 1).text(as);
    CHECK(text.size() <= log_line::line_max);
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
    CHECK(text.find("last") != std::string::npos);
    if (as == log_format::json)
      CHECK_NOTHROW(nlohmann::json::parse(text));
  }
}
