// What others wrote is shown without the secrets that they repeat, in whatever form.
#include "support/canary.hpp"

#include <nestor/core/redact.hpp>

#include <catch2/catch.hpp>

using namespace nestor;

namespace {

std::string without(std::string text, std::vector<std::string> secrets) {
  std::vector<secret> all;
  for (auto& each : secrets)
    all.push_back(secret::copy_of(each));
  return redact(std::move(text), all);
}

} // namespace

TEST_CASE("a secret is taken out raw, escaped for JSON, percent-encoded, in base64 and in hex") {
  const std::string value = "CANARY-\"\n/\x01x";
  for (const std::string& form : {value, std::string{R"(CANARY-\"\n/\u0001x)"}, std::string{"CANARY-%22%0A%2F%01x"},
                                  std::string{"Q0FOQVJZLSIKLwF4"}, std::string{"43414e4152592d220a2f0178"}}) {
    INFO(form);
    CHECK(without("before " + form + " after", {value}) == "before <secret> after");
  }
}

TEST_CASE("the longer of two secrets goes first: nothing of it stays") {
  for (auto order : {std::vector<std::string>{"CANARY", "CANARY-and-more"}, {"CANARY-and-more", "CANARY"}})
    CHECK(without("it is CANARY-and-more, or CANARY", order) == "it is <secret>, or <secret>");
}

TEST_CASE("each line of a key file is taken out, also alone") {
  const std::string file = "-----BEGIN KEY-----\nCANARYlineone\nCANARYlinetwo\n-----END KEY-----\n}\n";
  CHECK(without("log: CANARYlinetwo\nlog: }", {file}) == "log: <secret>\nlog: }");
  CHECK(without("tail of it: " + file.substr(30), {file}).find("linetwo") == std::string::npos);
}

TEST_CASE("what is too short to be a secret stays") {
  CHECK(without("a abc b", {"abc", ""}) == "a abc b");
}
