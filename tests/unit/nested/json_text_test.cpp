#include <nestor/nested/json_text.hpp>

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <random>

using namespace nestor;
using namespace nestor::nested;

namespace {

std::string quoted(std::string_view text) {
  wiped_string out;
  REQUIRE(append_json(out, text));
  return std::string{out};
}

std::string leaves(std::string_view text) {
  std::string out;
  bool whole = read_json(text, [&](const json_leaf& leaf) {
    out +=
      std::string{leaf.path} + "=" + std::to_string(static_cast<int>(leaf.kind)) + ":" + std::string{leaf.text} + ";";
  });
  return whole ? out : out + "broken";
}

} // namespace

TEST_CASE("a text is written as the JSON string that reads back as it") {
  CHECK(quoted("plain") == R"("plain")");
  CHECK(quoted("a\"b\\c\n\r\t\x01\x7f") == R"("a\"b\\c\n\r\t\u0001\u007f")");
  CHECK(quoted("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") == "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
  CHECK(quoted(std::string_view{"\0", 1}) == R"("\u0000")");
}

TEST_CASE("what is not UTF-8 is not written at all") {
  for (std::string_view bad : {"\xff", "\xc0\x80", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
    wiped_string out = "kept";
    CHECK_FALSE(append_json(out, bad));
    CHECK(out == "kept");
  }
}

TEST_CASE("random bytes are written exactly when a JSON library accepts them, and read back equal") {
  std::mt19937 random{4711};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (auto n = random() % 6; n > 0; --n)
      text += static_cast<char>(random() % 4 == 0 ? random() % 128 : 0x80 + random() % 128);
    wiped_string out;
    bool written = append_json(out, text);
    bool accepted = true;
    try {
      (void)nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception&) { accepted = false; }
    REQUIRE(written == accepted);
    if (written)
      REQUIRE(nlohmann::json::parse(out.begin(), out.end()).get<std::string>() == text);
  }
}

TEST_CASE("a document is read leaf by leaf, with pointers and counts") {
  CHECK(leaves(R"({"a":[1,{"b/~":null}],"c":{"d":true},"e":-2.50})") ==
        "/a/0=2:1;/a/1/b~1~0=0:null;/a/1=5:1;/a=4:2;/c/d=1:true;/c=5:1;/e=2:-2.50;=5:3;");
  CHECK(leaves("[]") == "=4:0;");
  CHECK(unescape_pointer("b~1~0") == "b/~");
}

TEST_CASE("what is not one whole JSON document is broken") {
  for (std::string_view text : {"", "{", "{\"a\":1", "{\"a\":1}x", "nul", "<html>", "{\"a\":\"\xff\"}"}) {
    INFO(text);
    CHECK(leaves(text).ends_with("broken"));
  }
  CHECK(leaves(std::string(31, '[') + std::string(31, ']')).ends_with(";"));
  CHECK(leaves(std::string(40, '[') + std::string(40, ']')).ends_with("broken"));
}

namespace {

/// The same leaves from a document tree.
void leaves_of(const nlohmann::json& value, const std::string& path, std::string& out) {
  std::size_t i = 0;
  if (value.is_object())
    for (const auto& [name, member] : value.items()) {
      std::string segment;
      for (char c : name)
        segment += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
      leaves_of(member, path + "/" + segment, out);
    }
  else if (value.is_array())
    for (const auto& element : value)
      leaves_of(element, path + "/" + std::to_string(i++), out);
  out += path + "=" +
         (value.is_string()       ? value.get<std::string>()
          : value.is_structured() ? std::to_string(value.size())
                                  : value.dump()) +
         ";";
}

} // namespace

TEST_CASE("a mutated document is whole, and has the same leaves, exactly when a JSON library says so") {
  const std::vector<std::string> seeds{
    R"({"a":[1,{"b/~":null}],"c":{"d":true},"e":-2.5,"f":"x\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"})",
    R"([[],{},"",0,-1,12e1,false])", R"( { "error" : "Settings not found" } )", "\"caf\xc3\xa9\"",
    R"({"custom_secrets":[{"name":"A","description":""}]})"};
  const std::string alphabet = "{}[]\",:\\/ue0-.1 tfn\x01\x80\xc3\xa9";
  std::mt19937 random{2026};
  std::size_t whole = 0;
  for (int round = 0; round < 50'000; ++round) {
    auto text = seeds[random() % seeds.size()];
    for (auto n = random() % 3; n > 0 && !text.empty(); --n) {
      auto where = random() % text.size();
      switch (random() % 3) {
        case 0: text[where] = alphabet[random() % alphabet.size()]; break;
        case 1: text.erase(where, 1 + random() % 3); break;
        default: text.insert(where, 1, alphabet[random() % alphabet.size()]); break;
      }
    }
    auto tree = nlohmann::json::parse(text, nullptr, false);
    std::string ours;
    bool good = read_json(
      text, [&](const json_leaf& leaf) { ours += std::string{leaf.path} + "=" + std::string{leaf.text} + ";"; });
    INFO(text);
    REQUIRE(good == !tree.is_discarded());
    if (!good)
      continue;
    ++whole;
    std::string theirs;
    leaves_of(tree, "", theirs);
    auto sorted = [](std::string all) { // the tree forgets the order
      std::ranges::sort(all);
      return all;
    };
    bool numbers_differ_in_spelling = text.find_first_of("eE.") != std::string::npos;
    bool a_name_twice = std::ranges::count(ours, ';') != std::ranges::count(theirs, ';');
    if (!numbers_differ_in_spelling && !a_name_twice)
      REQUIRE(sorted(ours) == sorted(theirs));
  }
  CHECK(whole > 10'000);
}
