// E2B: control plane v1 and v2, the agent inside (envd) over the Connect protocol, the hosts of ports. Split by topic:
// e2b_cloud.cpp has the control plane, internal/e2b_envd.cpp processes and files, internal/e2b_proxy.cpp who is behind
// a host or a pair of routing headers. Statuses and texts: the contract page, B2–B9.
#pragma once

#include <emulator/internal/call.hpp>

#include <map>
#include <set>

namespace nestor::emulator {

/// envd's port inside every sandbox.
inline constexpr std::uint16_t envd_port = 49'983;

struct e2b_process {
  json config;
  std::string tag;
  std::vector<caller> streams;
  bool timed_out = false;
};

struct e2b_sandbox {
  std::string id, client_id, image;
  variables metadata, env;
  std::string state = "starting"; ///< as the API says it: running or paused; before 201 it is in no answer
  bool paused_by_ttl = false, resumes = false, internet = true, open_traffic = true;
  std::string access_token, traffic_token;
  std::int64_t started_ms = 0;
  instant ends, listed_from;
  std::uint64_t lease = 0; ///< an older deadline is void
  bool changing = false;   ///< a pause or resume is under way
  json network;
  std::map<std::int64_t, e2b_process> processes;
  affliction ill;
};

class e2b_cloud final : public cloud {
public:
  e2b_cloud(cloud_options options, cloud_world world);

  void serve(const http::request& request, const affliction& ill, caller back) override;
  [[nodiscard]] std::vector<rented> truth() const override;
  [[nodiscard]] http::response refusal(std::uint16_t status, const http::request& request) const override;
  [[nodiscard]] http::response throttled(std::int64_t seconds, const http::request& request) const override;

private:
  // e2b_cloud.cpp
  static const std::vector<cloud_route<e2b_cloud>>& routes();
  [[nodiscard]] bool admitted(const call_ref& c);
  void refuse(const call_ref& c, std::uint16_t status, std::string_view message) const;
  e2b_sandbox* find(const std::string& id);
  e2b_sandbox* wanted(const call_ref& c);
  [[nodiscard]] json rented_view(const e2b_sandbox& s) const;
  [[nodiscard]] json listed_view(const e2b_sandbox& s) const;
  [[nodiscard]] json detail_view(const e2b_sandbox& s) const;
  [[nodiscard]] std::int64_t wall_ms() const;
  [[nodiscard]] std::int64_t wall_ms(instant at) const;
  void create_v1(const call_ref& c);
  void create_v2(const call_ref& c);
  void create(const call_ref& c, bool second);
  void placed(const call_ref& c, const std::string& id, const std::optional<std::string>& trouble);
  void list_v1(const call_ref& c);
  void list_v2(const call_ref& c);
  void get(const call_ref& c);
  void kill(const call_ref& c);
  void set_timeout(const call_ref& c);
  void refresh(const call_ref& c);
  void pause(const call_ref& c);
  void connect_v1(const call_ref& c);
  void connect_v2(const call_ref& c);
  void connect(const call_ref& c, bool second);
  void resume(const call_ref& c);
  void set_network(const call_ref& c);
  void wake(const call_ref& c, e2b_sandbox& s, std::int64_t seconds);
  void lease_until(e2b_sandbox& s, instant until);
  void discard(const std::string& id);
  [[nodiscard]] std::vector<const e2b_sandbox*> listed(const call_ref& c, const std::set<std::string>& states) const;

  // e2b_envd.cpp
  void envd(const call_ref& c, e2b_sandbox& s);
  void envd_refuse(const call_ref& c, std::uint16_t status, std::string_view message) const;
  void rpc_refuse(const call_ref& c, std::uint16_t status, std::string_view code, std::string_view message) const;
  void start_process(const call_ref& c, e2b_sandbox& s);
  void connect_process(const call_ref& c, e2b_sandbox& s);
  void process_ended(const std::string& id, std::int64_t pid, int exit_code);
  void unary(const call_ref& c, e2b_sandbox& s, std::string_view method);
  bool filesystem(const call_ref& c, e2b_sandbox& s, std::string_view method, const json& body);
  void files(const call_ref& c, e2b_sandbox& s);
  std::optional<std::int64_t> selected(const e2b_sandbox& s, const json& body) const;

  // e2b_proxy.cpp
  bool serve_inside(const call_ref& c);
  void serve_port(const call_ref& c, e2b_sandbox& s, std::uint16_t port);

  cloud_options options_;
  cloud_world world_;
  std::uint64_t seed_;
  rate_window creates_;
  std::map<std::string, e2b_sandbox> sandboxes_;
};

} // namespace nestor::emulator
