// Runloop: devboxes, tunnels, executions. Split by topic: runloop_cloud.cpp has the devboxes and their states,
// internal/runloop_executions.cpp commands, internal/runloop_files.cpp files, logs and tunnels. Statuses: the contract
// page, §1. What is not known of the real service is answered in the way that is hardest on a client: a repeated
// x-request-id creates again, and what has ended stays in the lists.
#pragma once

#include <emulator/internal/call.hpp>

#include <map>
#include <set>

namespace nestor::emulator {

struct runloop_execution {
  std::string id, command, shell;
  std::int64_t pid = -1;
  std::string out, err;
  std::optional<int> exit_status;
  std::int64_t began_ms = 0;
  std::vector<std::function<void()>> waiting;
  std::vector<std::pair<stream, caller>> listeners;
};

struct runloop_devbox {
  std::string id, name, status = "provisioning", blueprint, snapshot, failure_reason, shutdown_reason;
  variables env, metadata;
  std::string entrypoint;
  json launch = json::object(), tunnel;
  json transitions = json::array();
  std::int64_t created_ms = 0, ended_ms = 0;
  instant listed_from, active;
  std::uint64_t lease = 0, order = 0;
  bool snapshotting = false;
  affliction ill;
  std::map<std::string, runloop_execution> executions;
  std::vector<std::function<void()>> waiting; ///< told at each change of status

  [[nodiscard]] bool over() const { return status == "shutdown" || status == "failure"; }
};

class runloop_cloud final : public cloud {
public:
  runloop_cloud(cloud_options options, cloud_world world);

  void serve(const http::request& request, const affliction& ill, caller back) override;
  [[nodiscard]] std::vector<rented> truth() const override;
  [[nodiscard]] http::response refusal(std::uint16_t status, const http::request& request) const override;
  [[nodiscard]] http::response throttled(std::int64_t seconds, const http::request& request) const override;

private:
  // runloop_cloud.cpp
  static const std::vector<cloud_route<runloop_cloud>>& routes();
  [[nodiscard]] bool admitted(const call_ref& c);
  void refuse(const call_ref& c, std::uint16_t status, std::string_view message) const;
  runloop_devbox* find(const std::string& id);
  runloop_devbox* wanted(const call_ref& c);
  [[nodiscard]] json view(const runloop_devbox& d) const;
  [[nodiscard]] std::int64_t wall_ms() const;
  void turn(runloop_devbox& d, std::string status);
  void end(runloop_devbox& d, std::string status, std::string reason);
  void boot(runloop_devbox& d);
  void booted(const std::string& id, const std::optional<std::string>& trouble);
  void keep_lease(runloop_devbox& d);
  void watch_idleness(const std::string& id);
  void hold(const call_ref& c, const std::string& id, const std::set<std::string>& statuses, milliseconds most);
  void look(const call_ref& c, const std::string& id, const std::set<std::string>& statuses,
            const std::shared_ptr<bool>& over);
  void account(const call_ref& c);
  void create(const call_ref& c);
  void list(const call_ref& c);
  void get(const call_ref& c);
  void update(const call_ref& c);
  void wait_for_status(const call_ref& c);
  void shutdown(const call_ref& c);
  void suspend(const call_ref& c);
  void resume(const call_ref& c);
  void keep_alive(const call_ref& c);
  void snapshot_disk(const call_ref& c);
  void snapshot_status(const call_ref& c);
  void blueprints(const call_ref& c);

  // runloop_executions.cpp
  runloop_execution* execution(const std::string& devbox, const std::string& id);
  runloop_execution* wanted_execution(const call_ref& c);
  runloop_execution* run(const call_ref& c, runloop_devbox& d);
  [[nodiscard]] json execution_view(const runloop_devbox& d, const runloop_execution& e, const call_ref& c) const;
  void execute_async(const call_ref& c);
  void execute(const call_ref& c);
  void execute_sync(const call_ref& c);
  void show_execution(const call_ref& c);
  void wait_for_execution(const call_ref& c);
  void hold_execution(const call_ref& c, const std::string& devbox, const std::string& id, milliseconds most,
                      bool timeout_is_answer);
  void kill_execution(const call_ref& c);
  void send_input(const call_ref& c);
  void stream_out(const call_ref& c);
  void stream_err(const call_ref& c);
  void stream_output(const call_ref& c, stream which);

  // runloop_files.cpp
  [[nodiscard]] json new_tunnel(const json& wish);
  void enable_tunnel(const call_ref& c);
  void remove_tunnel(const call_ref& c);
  void serve_tunnel(const call_ref& c, const port_host& where);
  void upload_file(const call_ref& c);
  void write_text(const call_ref& c);
  void read_text(const call_ref& c);
  void download_file(const call_ref& c);
  void logs(const call_ref& c);

  cloud_options options_;
  cloud_world world_;
  std::uint64_t seed_;
  std::uint64_t next_order_ = 0;
  rate_window creates_;
  std::map<std::string, runloop_devbox> devboxes_;
  std::map<std::string, bool> snapshots_; ///< by id: complete
};

} // namespace nestor::emulator
