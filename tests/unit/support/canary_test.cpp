// The search for canaries finds each form that a secret may take; else its silence would mean nothing.
#include "support/canary.hpp"

#include <catch2/catch.hpp>

#include <cctype>
#include <cstdio>

using namespace nestor::tests;

namespace {

/// Base64 as anybody would write it, padding apart; `last_two` are the two characters on which alphabets differ.
std::string base64(const std::string& text, std::string_view last_two) {
  std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  alphabet += last_two;
  std::string out;
  unsigned held = 0;
  int bits = 0;
  for (unsigned char c : text) {
    held = held << 8U | c;
    for (bits += 8; bits >= 6; bits -= 6)
      out += alphabet[held >> static_cast<unsigned>(bits - 6) & 63U];
  }
  if (bits > 0)
    out += alphabet[held << static_cast<unsigned>(6 - bits) & 63U];
  return out;
}

std::string spelled(const std::string& text, const char* format) {
  std::string out;
  for (unsigned char c : text) {
    char piece[16];
    std::snprintf(piece, sizeof piece, format, c);
    out += piece;
  }
  return out;
}

const std::string secret = "CANARY-7f3a";

} // namespace

TEST_CASE("a canary is found as it is, percent-encoded, escaped for JSON or C, and in hex of either case") {
  CHECK_THAT(canary_in("the key is " + secret + "."), Catch::StartsWith("raw after `the key is `"));
  for (auto format : {"%%%02x", "%%%02X", "\\u%04x", "\\u%04X", "\\x%02x", "%02x", "%02X"}) {
    INFO(format);
    CHECK_FALSE(canary_in("before " + spelled(secret, format) + " after").empty());
  }
  CHECK_FALSE(canary_in("CAN\\u0041RY").empty()); // only some of it
  CHECK_FALSE(canary_in("CA%4EA%52Y").empty());
}

TEST_CASE("a canary is found in base64 of both alphabets, wherever in a group of three it begins") {
  // Bytes whose base64 has characters that differ between the alphabets, so that each is really tried.
  for (std::string mark : {secret, std::string{"CANARY\xfb\xff\xbf\xfe\xff"}})
    for (std::string_view last_two : {"+/", "-_"})
      for (std::string before : {"", "x", "xy", "xyz", "user:"})
        for (std::string after : {"", "?", ">>"}) {
          auto text = base64(before + mark + after, last_two);
          INFO(text);
          CHECK_FALSE(canary_in("Authorization: Basic " + text, mark).empty());
        }
  CHECK(canary_in(base64("a word that is none", "+/")).empty());
}

TEST_CASE("a canary is found under two layers of escapes") {
  CHECK_FALSE(canary_in("{\"body\":\"{\\\"key\\\":\\\"\\\\u0043ANARY\\\"}\"}").empty());
  CHECK_FALSE(canary_in("CA%254EARY").empty());
  CHECK_FALSE(canary_in("%51%30%46%4F%51%56%4A%5A").empty()); // base64, then percent-encoded
}

TEST_CASE("what is no canary is not taken for one") {
  for (auto text : {"", "canary", "CANAR", "%", "%4", "\\", "\\u00", "the canaries are silent \\n 100% \\\\",
                    "Q0FOQVI= is CANAR", "43414e4152"}) {
    INFO(text);
    CHECK(canary_in(text).empty());
  }
}
