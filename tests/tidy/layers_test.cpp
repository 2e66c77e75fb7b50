// The layers point one way. The include roots make an upward include fail to compile; third-party headers live in
// /usr/include, where every target sees them, so they are looked for here.
#include "source_tree.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <initializer_list>

using namespace nestor::tidy;

namespace {

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(), [&](auto b) { return text.starts_with(b); });
}

/// Fails with every file under `folder` that includes something beginning with one of `beginnings`.
void never_includes(std::string_view folder, std::initializer_list<std::string_view> beginnings) {
  for (const auto& file : cpp_files())
    if (file.under(folder))
      for (const auto& name : includes_of(file))
        if (starts_with_any(name, beginnings))
          FAIL_CHECK(file.path << " includes " << name);
}

} // namespace

TEST_CASE("there is a tree to judge") {
  auto files = cpp_files();
  for (auto folder : {"protocols/", "actors/", "tests/"})
    CHECK(std::count_if(files.begin(), files.end(), [&](auto& f) { return f.under(folder); }) > 3);
}

TEST_CASE("protocols know no actors, no sockets, no files and no clock's thread") {
  never_includes("protocols/", {"caf/", "boost/", "openssl/", "nestor/actors/", "nestor/io/", "grpc", "thread", "mutex",
                                "condition_variable", "fstream", "filesystem", "iostream", "sys/", "unistd.h"});
}

TEST_CASE("public headers of protocols include nothing of third parties") {
  for (const auto& file : cpp_files())
    if (file.under("protocols/") && file.is_header())
      for (const auto& name : includes_of(file))
        if (starts_with_any(name, {"nlohmann/", "sodium", "google/", "nestor_messages/"}) &&
            file.path.find("/internal/") == std::string::npos)
          FAIL_CHECK(file.path << " includes " << name);
}

TEST_CASE("io knows no actors, actors touch nothing themselves, and they meet on the bridge") {
  never_includes("actors/nestor/io/", {"caf/", "nestor/actors/", "nestor/bridge/"});
  never_includes("actors/nestor/actors/", {"boost/", "openssl/", "sys/", "unistd.h", "fstream", "nestor/bridge/"});
}

TEST_CASE("an embedder never sees Boost or gRPC: no public header includes them") {
  for (const auto& file : cpp_files())
    if (file.under("actors/") && file.is_header() && file.path.find("/internal/") == std::string::npos)
      for (const auto& name : includes_of(file))
        if (starts_with_any(name, {"boost/", "grpc"}))
          FAIL_CHECK(file.path << " includes " << name);
}

TEST_CASE("nothing includes the tests") {
  for (auto folder : {"protocols/", "actors/", "apps/"})
    never_includes(folder, {"tests/", "support/", "catch2/"});
}

TEST_CASE("which CAF this is, its two headers know, and one of the tests") {
  for (const auto& file : cpp_files())
    if (file.path != "actors/nestor/actors/caf.hpp" && file.path != "actors/nestor/actors/caf_scheduler.hpp" &&
        file.path != "tests/support/deterministic_system.hpp")
      for (std::size_t n = 0; n < file.code.size(); ++n)
        for (auto word : {"CAF_VERSION", "CAF_MAJOR_VERSION", "CAF_MINOR_VERSION", "NESTOR_CAF_MODERN"})
          if (has_word(file.code[n], word))
            FAIL_CHECK(file.path << ':' << n + 1 << " asks for " << word);
}
