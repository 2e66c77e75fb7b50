#include "support/canary.hpp"

#include <nestor/io/entropy.hpp>
#include <nestor/io/secret_source.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

using namespace nestor;

namespace {

struct folder {
  std::filesystem::path path =
    std::filesystem::temp_directory_path() / ("nestor-secrets-" + std::to_string(io::random_seed()));
  folder() { std::filesystem::create_directory(path); }
  ~folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream{path / name, std::ios::binary} << text;
    return (path / name).string();
  }
};

bool holds(const expected<secret>& found, std::string_view text) {
  return found && (*found).expose([&](std::string_view plain) { return plain == text; });
}

} // namespace

TEST_CASE("a secret comes from an environment variable", "[io]") {
  ::setenv("NESTOR_TEST_SECRET", "CANARY-1", 1); // NOLINT(concurrency-mt-unsafe)
  CHECK(holds(io::look_up_secret(reference_kind::env, "NESTOR_TEST_SECRET"), "CANARY-1"));
  ::setenv("NESTOR_TEST_SECRET", "", 1); // NOLINT(concurrency-mt-unsafe)
  CHECK(io::secret_from_env("NESTOR_TEST_SECRET").error().cause ==
        "the environment variable NESTOR_TEST_SECRET is empty");
  ::unsetenv("NESTOR_TEST_SECRET"); // NOLINT(concurrency-mt-unsafe)
  CHECK(io::secret_from_env("NESTOR_TEST_SECRET").error().code == errc::secret_unresolved);
  CHECK(io::secret_from_env("NESTOR_TEST_SECRET").error().cause ==
        "the environment variable NESTOR_TEST_SECRET is not set");
}

TEST_CASE("a secret comes from a file, without the line end that editors add", "[io]") {
  folder files;
  CHECK(holds(io::look_up_secret(reference_kind::file, files.write("a", "CANARY-1")), "CANARY-1"));
  CHECK(holds(io::secret_from_file(files.write("b", "CANARY-1\n")), "CANARY-1"));
  CHECK(holds(io::secret_from_file(files.write("c", "CANARY-1\r\n")), "CANARY-1"));
  CHECK(holds(io::secret_from_file(files.write("d", "two\nlines\n\n")), "two\nlines\n"));
  std::string most(io::secret_file_max, 'x');
  CHECK(holds(io::secret_from_file(files.write("e", most)), most));
}

TEST_CASE("a file that cannot be a secret is named with the reason, never with its content", "[io]") {
  folder files;
  auto cause = [](const std::string& path) {
    auto found = io::secret_from_file(path);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == errc::secret_unresolved);
    CHECK(tests::canary_in(found.error().cause) == "");
    CHECK(found.error().cause.starts_with("the file " + path + " "));
    return found.error().cause.substr(10 + path.size());
  };
  CHECK(cause((files.path / "none").string()) == "cannot be read: No such file or directory");
  CHECK(cause(files.path.string()) == "is not a regular file");
  CHECK(cause("/dev/null") == "is not a regular file");
  auto pipe = (files.path / "pipe").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(cause(pipe) == "is not a regular file");
  CHECK(cause(files.write("empty", "\n")) == "is empty");
  CHECK(cause(files.write("large", "CANARY" + std::string(io::secret_file_max, 'x'))) == "is larger than 65536 bytes");
}

TEST_CASE("session keys are long, printable and never the same", "[io]") {
  auto one = io::make_session_key(), other = io::make_session_key();
  CHECK_FALSE(one == other);
  one.expose([](std::string_view text) {
    CHECK(text.size() == 43);
    CHECK(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
          std::string_view::npos);
  });
  CHECK(io::random_seed() != io::random_seed());
}
