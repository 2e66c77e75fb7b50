// What a node tells its operator: a log whose reader may stop reading, an audit log whose size is bounded.
#include <nestor/io/line_writer.hpp>
#include <nestor/io/rotated_file.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

using namespace nestor;

namespace {

struct folder {
  std::string path = (std::filesystem::temp_directory_path() / "nestor-lines-XXXXXX").string();
  folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~folder() { std::filesystem::remove_all(path); }
  folder(const folder&) = delete;
};

std::string contents(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("lines come out in order, those that waited at the end, too") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  {
    io::line_writer log{ends[1]};
    for (int i = 0; i < 100; ++i)
      log.write(std::to_string(i) + "\n");
  }
  ::close(ends[1]);
  std::string expected, read;
  for (int i = 0; i < 100; ++i)
    expected += std::to_string(i) + "\n";
  std::array<char, 4096> chunk{};
  for (ssize_t size = 0; (size = ::read(ends[0], chunk.data(), chunk.size())) > 0;)
    read.append(chunk.data(), static_cast<std::size_t>(size));
  CHECK(read == expected);
  ::close(ends[0]);
}

TEST_CASE("a reader that never reads costs lines, which are counted, and keeps nobody waiting") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  {
    io::line_writer log{ends[1]};
    const std::string line(1'000, 'x');
    for (std::size_t i = 0; i < io::line_writer::waiting_max + 1'000; ++i)
      log.write(line + "\n");
    CHECK(log.dropped() > 0);
  } // and its end does not wait for the reader either
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a file of lines is its owner's alone, and is rotated when it is full") {
  folder here;
  auto path = here.path + "/audit.jsonl";
  {
    io::rotated_file file{path, {100, 2}};
    for (int i = 0; i < 40; ++i)
      CHECK(file.add("line number " + std::to_string(10 + i) + "\n"));
  }
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  CHECK(contents(path).ends_with("line number 49\n"));
  CHECK(std::filesystem::exists(path + ".2"));
  CHECK_FALSE(std::filesystem::exists(path + ".3"));
  for (const std::string part : {"", ".1", ".2"})
    CHECK(contents(path + part).size() <= 100);
  io::rotated_file again{path, {100, 2}};
  CHECK(again.add("and on\n"));
  CHECK_THROWS_AS((io::rotated_file{here.path + "/none/audit.jsonl"}), std::runtime_error);
}
