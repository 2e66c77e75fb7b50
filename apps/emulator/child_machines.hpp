// Machines that are real: what a sandbox boots with is a child process under a guardian (nestor/io/processes.hpp), so
// that nothing of it survives us; commands are processes; files lie in a folder per sandbox. All of them share this
// machine's loopback, so a port inside stands for another one outside: PORT in an environment, `PORT=` and `--port` in
// a command are translated. It isolates nothing.
#pragma once

#include <emulator/machines.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace nestor::emulator {

struct child_machines_options {
  std::filesystem::path folder;                            ///< exists, and is ours
  std::vector<std::string> server{"nestor-nested-server"}; ///< program and arguments of images' nested servers
};

class child_machines final : public machines {
public:
  child_machines(boost::asio::io_context& io, child_machines_options options);
  ~child_machines() override;

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

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace nestor::emulator
