// Machines in memory, for whole lives in one thread on virtual time: nested servers are their real models, files are a
// map, and commands a handful of built-in ones (below). Nothing here touches the system.
#pragma once

#include <emulator/clockwork.hpp>
#include <emulator/machines.hpp>

#include <nested_server/faulty_server.hpp>

#include <map>
#include <memory>
#include <set>

namespace nestor::emulator {

struct memory_machines_options {
  nested_server::model_options server; ///< of every nested server, but for its session key
  milliseconds server_starts_in{20};   ///< from boot or command until it listens
};

/// Commands it knows, parts of a line being divided by `;` or `&&`: `echo WORDS [1>&2]`, `cat PATH`, `sleep SECONDS`,
/// `exit CODE`, `true`, `false`, `pwd`; and every line that names nestor-nested-server starts one, on the port and with
/// the key that its environment (or words like PORT=… in the line) say, and does not end, unless the port is taken (1)
/// or the line ends with `&` (0). A line with `eval "$NAME"` is what that variable holds. All else ends with 127.
class memory_machines final : public machines {
public:
  explicit memory_machines(clockwork& time, memory_machines_options options = {});

  void boot(machine_order order, std::function<void(std::optional<std::string>)> done) override;
  void watch(const std::string& id, std::function<void(int)> ended) override;
  void freeze(const std::string& id) override;
  void thaw(const std::string& id) override;
  void stop(const std::string& id) override;
  void discard(const std::string& id) override;
  std::optional<std::int64_t> run(const std::string& id, command_order order, command_ears ears) override;
  bool signal(const std::string& id, std::int64_t pid, int number) override;
  bool feed(const std::string& id, std::int64_t pid, std::string_view input, bool last) override;
  [[nodiscard]] std::string home(const std::string& id) const override;
  std::optional<std::string> read(const std::string& id, const std::string& path) override;
  bool write(const std::string& id, const std::string& path, std::string_view bytes) override;
  std::optional<file_entry> look(const std::string& id, const std::string& path) override;
  std::optional<std::vector<file_entry>> list(const std::string& id, const std::string& path) override;
  bool make_directory(const std::string& id, const std::string& path) override;
  bool remove(const std::string& id, const std::string& path) override;
  void forward(const std::string& id, std::uint16_t port, http::request request,
               std::function<void(http_reply)> done) override;

  // -- for judges ----------------------------------------------------------------------------------------------------

  /// The nested server that listens there; nullptr when none does.
  nested_server::faulty_server* server(const std::string& id, std::uint16_t port = usual_port);
  /// Machines of which anything is left, files too.
  [[nodiscard]] std::size_t count() const { return machines_.size(); }
  /// How many commands with that text in their line were run in it.
  [[nodiscard]] std::size_t runs(const std::string& id, std::string_view text) const;
  /// The nested server of that machine ends by itself, as in a crash.
  void crash(const std::string& id, int exit_code);

private:
  struct listening {
    std::unique_ptr<nested_server::faulty_server> server;
    std::int64_t pid = 0; ///< of the command that is it; 0: what the machine booted with
    instant from;
  };
  struct running {
    command_ears ears;
    std::optional<std::uint16_t> port;
  };
  struct machine {
    variables env;
    bool up = false, frozen = false;
    std::map<std::uint16_t, listening> ports;
    std::map<std::int64_t, running> commands;
    std::vector<std::string> lines; ///< of all commands ever
    std::map<std::string, std::string> files;
    std::set<std::string> directories;
    std::function<void(int)> ended;
  };
  machine* find(const std::string& id);
  /// False: something listens there already.
  bool serve(machine& m, std::int64_t pid, const variables& env);
  void finish(const std::string& id, std::int64_t pid, int exit_code);
  void step(const std::string& id, std::int64_t pid, std::string rest, int exit_code);

  clockwork& time_;
  memory_machines_options options_;
  std::map<std::string, machine> machines_;
  std::int64_t next_pid_ = 100;
};

} // namespace nestor::emulator
