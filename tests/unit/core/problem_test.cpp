#include <nestor/core/problem.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace nestor;

TEST_CASE("every failure survives the way through problem details") {
  for (const auto& row : errc_table())
    for (std::size_t s = 0; s < static_cast<std::size_t>(step::count_); ++s) {
      failure f{row.code, static_cast<step>(s), "the \"cause\"\nin ü words", 0, {}};
      CHECK(from_problem(to_problem(f)) == f);
      f.status = 503;
      f.retry_after = milliseconds{1500};
      CHECK(from_problem(to_problem(f, "/v1/sandboxes/x")) == f);
    }
}

TEST_CASE("problem details carry what RFC 9457 and the interface promise") {
  failure f{errc::rate_limited, step::provision, "daytona asks for patience", 429, milliseconds{2000}};
  auto problem = nlohmann::json::parse(to_problem(f, "/v1/sandboxes/nst-x"));
  CHECK(problem["type"] == "urn:nestor:error:rate_limited");
  CHECK(problem["title"] == row_of(errc::rate_limited).title);
  CHECK(problem["status"] == 429);
  CHECK(problem["detail"] == "daytona asks for patience");
  CHECK(problem["instance"] == "/v1/sandboxes/nst-x");
  CHECK(problem["code"] == "rate_limited");
  CHECK(problem["step"] == "provision");
  CHECK(problem["retryable"] == true);
  CHECK(problem["remedy"] == row_of(errc::rate_limited).remedy);
  CHECK(problem["retry_after_ms"] == 2000);
}

TEST_CASE("a cause that is not UTF-8 is still told") {
  auto text = to_problem({errc::internal, step::queue, "bad \xff byte", 0, {}});
  REQUIRE(from_problem(text));
  CHECK(from_problem(text)->cause == "bad \xef\xbf\xbd byte");
}

TEST_CASE("what is no problem of ours is not read as one") {
  for (auto text : {"", "[]", "{}", "null", R"({"code":"nonsense","step":"queue"})", R"({"code":"internal"})",
                    R"({"code":5,"step":"queue"})", R"({"code":"internal","step":"queue")"})
    CHECK_FALSE(from_problem(text));
  CHECK_FALSE(from_problem(std::string(problem_bytes_max + 1, ' ')));
}
