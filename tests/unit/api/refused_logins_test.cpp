#include <nestor/api/refused_logins.hpp>

#include <catch2/catch.hpp>

using namespace nestor;

TEST_CASE("a burst of refused logins is told, then a few a minute, and how many were not") {
  api::refused_logins book;
  instant now{5'000'000'000};
  for (std::uint32_t i = 0; i < api::refused_logins::burst; ++i)
    CHECK(book.tell(now) == 0U);
  for (int i = 0; i < 1'000; ++i)
    CHECK_FALSE(book.tell(now));
  now = now + api::refused_logins::each_after;
  CHECK(book.tell(now) == 1'000U);
  CHECK_FALSE(book.tell(now));
  now = now + milliseconds{86'400'000};
  CHECK(book.tell(now) == 1U);
}
