// What runs inside the sandboxes that a cloud rents out: the seam between the clouds' books and real life. Clouds say
// what is to start, stop and be asked; `memory_machines` answers with models on any clock, `child_machines` with real
// processes. One sandbox is one machine, named by the sandbox's id.
#pragma once

#include <nestor/http/message.hpp>
#include <nestor/seam/io_request.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nestor::emulator {

using variables = std::vector<std::pair<std::string, std::string>>;

/// Where a nested server listens inside a sandbox unless PORT in its environment says otherwise.
inline constexpr std::uint16_t usual_port = 3'000;

struct machine_order {
  std::string id{};
  variables env{};                 ///< of everything that runs in it
  std::string command{};           ///< a shell line that starts with it; empty: see `serves`
  std::vector<std::string> argv{}; ///< the same as program and arguments
  bool serves = true;              ///< without a command: does its image start a nested server by itself?
};

struct command_order {
  std::string line{};              ///< for the shell
  std::vector<std::string> argv{}; ///< instead of `line`: program and arguments
  variables env{};                 ///< besides the machine's
  std::string directory{};         ///< to run in; empty: home
  std::string input{};             ///< its standard input, at first
  bool keeps_input = false;        ///< more comes by `feed`; else it ends there
  std::string carried{};           ///< not empty: commands with the same word share directory and exported variables
};

enum class stream : std::uint8_t { out, err };

/// What is told of a running command. `ended` comes once, and last.
struct command_ears {
  std::function<void(stream, std::string_view)> output{};
  std::function<void(int exit_code)> ended{}; ///< as in a shell: 0–255, 128 + signal
};

struct file_entry {
  std::string name;
  bool directory = false;
  std::uint64_t size = 0;
};

class machines {
public:
  virtual ~machines() = default;

  /// `done` is told nothing, or why it could not be. Booting a machine that was stopped starts it again; its files are
  /// kept.
  virtual void boot(machine_order order, std::function<void(std::optional<std::string>)> done) = 0;
  /// Whom to tell when what a machine booted with has ended by itself.
  virtual void watch(const std::string& id, std::function<void(int exit_code)> ended) = 0;
  /// Its processes stand still, or go on.
  virtual void freeze(const std::string& id) = 0;
  virtual void thaw(const std::string& id) = 0;
  /// Everything that runs in it ends; its files stay.
  virtual void stop(const std::string& id) = 0;
  /// Nothing of it stays.
  virtual void discard(const std::string& id) = 0;

  /// Its number inside the machine; nothing when it could not be started: then no ear hears of it.
  virtual std::optional<std::int64_t> run(const std::string& id, command_order order, command_ears ears) = 0;
  /// To the command and all it started. False when there is no such command any more.
  virtual bool signal(const std::string& id, std::int64_t pid, int number) = 0;
  virtual bool feed(const std::string& id, std::int64_t pid, std::string_view input, bool last) = 0;

  /// Paths are as inside; relative ones are below `home`.
  [[nodiscard]] virtual std::string home(const std::string& id) const = 0;
  virtual std::optional<std::string> read(const std::string& id, const std::string& path) = 0;
  /// Makes missing folders. False when it cannot be written.
  virtual bool write(const std::string& id, const std::string& path, std::string_view bytes) = 0;
  virtual std::optional<file_entry> look(const std::string& id, const std::string& path) = 0;
  virtual std::optional<std::vector<file_entry>> list(const std::string& id, const std::string& path) = 0;
  virtual bool make_directory(const std::string& id, const std::string& path) = 0;
  virtual bool remove(const std::string& id, const std::string& path) = 0;

  /// Asks what listens on that port inside. `refused` when nobody does.
  virtual void forward(const std::string& id, std::uint16_t port, http::request request,
                       std::function<void(http_reply)> done) = 0;
};

} // namespace nestor::emulator
