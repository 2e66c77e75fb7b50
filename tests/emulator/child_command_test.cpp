// What runs inside a real machine.
#include <emulator/child_command.hpp>

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

using namespace nestor::emulator;

TEST_CASE("a command inherits none of the emulator's connections") {
  // As asio opens its sockets: open in whatever is started.
  int ours = ::open("/dev/null", O_RDONLY); // NOLINT(cppcoreguidelines-pro-type-vararg)
  REQUIRE(ours > STDERR_FILENO);
  boost::asio::io_context io;
  std::string said;
  int code = -1;
  command_ears ears;
  ears.output = [&](stream, std::string_view bytes) { said += bytes; };
  ears.ended = [&](int exit_code) { code = exit_code; };
  auto command = std::make_shared<child_command>(io, ears);
  auto line =
    "test -e /proc/self/fd/" + std::to_string(ours) + " && echo inherited; test -e /proc/self/fd/1 && echo out";
  REQUIRE(command->start({"sh", "-c", line}, {{"PATH", "/usr/bin:/bin"}}, "/tmp") == 0);
  io.run();
  ::close(ours);
  CHECK(code == 0);
  CHECK(said == "out\n");
}
