// Daytona as of server v0.190, with the parts of the hosted one that its SDK 0.218 needs. Split by topic:
// daytona_cloud.cpp has the API's routes and books, internal/daytona_lifecycle.cpp what changes state,
// internal/daytona_toolbox.cpp the agent inside, internal/daytona_files.cpp its files, internal/daytona_preview.cpp the
// hosts of ports. Statuses and texts: the contract page, A3–A11.
#pragma once

#include <emulator/internal/call.hpp>

#include <list>
#include <map>

namespace nestor::emulator {

struct daytona_command {
  std::string id;
  std::string line;
  std::optional<int> exit_code;
  std::int64_t pid = -1;
  std::string marked, out, err; ///< `marked`: both, each line's origin before it
  std::vector<call_ref> waiting;
  std::vector<caller> followers;
};

struct daytona_sandbox {
  std::string id, name, snapshot, target, user = "daytona";
  json build_info, volumes = json::array(), network_allow, domain_allow;
  variables env, labels;
  bool open = false, network_blocked = false;
  std::int64_t cpu = 1, memory = 1, disk = 3, gpu = 0;
  std::int64_t auto_stop = 15, auto_archive = 10'080, auto_delete = -1; ///< minutes
  std::string state = "creating", desired = "started", error_reason;
  bool name_freed = false; ///< being destroyed: nobody finds it by name any more
  std::int64_t created_ms = 0, updated_ms = 0, active_ms = 0;
  instant active, listed_from;
  std::string preview_token;
  std::map<std::string, std::pair<std::uint16_t, instant>> signed_tokens; ///< port, and until when
  std::map<std::string, std::list<daytona_command>> sessions;
  affliction ill;
  std::vector<std::function<void()>> settled; ///< calls that are held until the state is no transition any more

  [[nodiscard]] bool in_transition() const { return state.ends_with("ing"); }
};

class daytona_cloud final : public cloud {
public:
  daytona_cloud(cloud_options options, cloud_world world);

  void serve(const http::request& request, const affliction& ill, caller back) override;
  [[nodiscard]] std::vector<rented> truth() const override;
  [[nodiscard]] http::response refusal(std::uint16_t status, const http::request& request) const override;
  [[nodiscard]] http::response throttled(std::int64_t seconds, const http::request& request) const override;

private:
  using command_list = std::list<daytona_command>;

  // daytona_cloud.cpp
  [[nodiscard]] bool admitted(const call_ref& c);
  void refuse(const call_ref& c, std::uint16_t status, std::string_view message) const;
  [[nodiscard]] json dto(const daytona_sandbox& s) const;
  [[nodiscard]] json list_item(const daytona_sandbox& s) const;
  daytona_sandbox* find(std::string_view id_or_name);
  daytona_sandbox* by_id(const std::string& id);
  /// After a 404 nullptr.
  daytona_sandbox* wanted(const call_ref& c);
  [[nodiscard]] std::int64_t wall_ms() const;
  [[nodiscard]] std::optional<std::vector<const daytona_sandbox*>> listed(const call_ref& c) const;
  void current_key(const call_ref& c);
  void create(const call_ref& c);
  void list(const call_ref& c);
  void list_pages(const call_ref& c);
  void get(const call_ref& c);
  void set_labels(const call_ref& c);
  void set_timer(const call_ref& c);
  void set_public(const call_ref& c);
  void set_network(const call_ref& c);
  void build_logs(const call_ref& c);
  void toolbox_url(const call_ref& c);
  void last_activity(const call_ref& c);
  std::optional<std::string> objection(const json& body, const daytona_sandbox& s) const;

  // daytona_lifecycle.cpp
  void start(const call_ref& c);
  void stop(const call_ref& c);
  void pause(const call_ref& c);
  void archive(const call_ref& c);
  void recover(const call_ref& c);
  void destroy(const call_ref& c);
  void boot(daytona_sandbox& s);
  void booted(const std::string& id, const std::optional<std::string>& trouble);
  void settle(daytona_sandbox& s, std::string state);
  void take_down(daytona_sandbox& s);
  void remove(daytona_sandbox& s);
  void answer_when_settled(const call_ref& c, daytona_sandbox& s, std::optional<json> stale);
  void watch_idleness(const std::string& id);
  void touch(daytona_sandbox& s);

  // daytona_toolbox.cpp
  bool serve_toolbox(const call_ref& c);
  void toolbox(const call_ref& c, daytona_sandbox& s, std::string_view path);
  void tool_refuse(const call_ref& c, std::uint16_t status, std::string_view message) const;
  void execute(const call_ref& c, daytona_sandbox& s);
  void open_session(const call_ref& c, daytona_sandbox& s);
  void run_in_session(const call_ref& c, daytona_sandbox& s, const std::string& name);
  void show_command(const call_ref& c, daytona_sandbox& s, const std::string& name, const std::string& id);
  void command_logs(const call_ref& c, daytona_sandbox& s, const std::string& name, const std::string& id);
  void close_session(const call_ref& c, daytona_sandbox& s, const std::string& name);
  daytona_command* command(const std::string& sandbox, const std::string& name, const std::string& id);
  void command_ended(const std::string& sandbox, const std::string& name, const std::string& id, int exit_code);

  // daytona_files.cpp
  bool serve_files(const call_ref& c, daytona_sandbox& s, std::string_view path);
  void bulk_upload(const call_ref& c, daytona_sandbox& s);
  void upload(const call_ref& c, daytona_sandbox& s);
  void download(const call_ref& c, daytona_sandbox& s);
  void bulk_download(const call_ref& c, daytona_sandbox& s);

  // daytona_preview.cpp
  void preview_url(const call_ref& c);
  void signed_preview_url(const call_ref& c);
  void expire_signed(const call_ref& c);
  void serve_port(const call_ref& c, const port_host& where);
  [[nodiscard]] bool may_enter(const call_ref& c, const daytona_sandbox& s, std::uint16_t port);

  static const std::vector<cloud_route<daytona_cloud>>& routes();

  cloud_options options_;
  cloud_world world_;
  std::uint64_t seed_;
  rate_window creates_;
  rate_window failed_auth_{10, 60s};                 ///< as the hosted one: ten wrong keys a minute from one address
  std::map<std::string, daytona_sandbox> sandboxes_; ///< by id
};

/// `code` of an error that the toolbox or the proxy answers with.
std::string_view daytona_error_code(std::uint16_t status);

} // namespace nestor::emulator
