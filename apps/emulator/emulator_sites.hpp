// What answers on the emulator's ports: a cloud behind its mishaps, and the judge's own routes.
//
//   GET  /admin/sandboxes   {"daytona":[{id, name, labels, created_at, state}], …}: what exists, whatever lists say
//   GET  /admin/clouds      {"daytona":{"requests":N,"faults_hit":N}, …}
//   POST /admin/faults      {"faults":["SPEC", …], "cloud":"daytona"}: these from now on; without `cloud` everywhere
//   GET  /admin/requests    what was asked so far (recording.hpp)
#pragma once

#include <emulator/recording.hpp>
#include <emulator/troubled_cloud.hpp>

#include <map>

namespace nestor::emulator {

class cloud_site final : public nested_server::site {
public:
  cloud_site(std::string name, troubled_cloud cloud, recording& kept)
      : name_(std::move(name)), cloud_(std::move(cloud)), kept_(kept) {}

  [[nodiscard]] bool reads_every_header() const override { return true; }
  void serve(const http::request& request, instant now, std::string_view client, const caller& back) override;
  troubled_cloud& cloud() { return cloud_; }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }

private:
  std::string name_;
  troubled_cloud cloud_;
  recording& kept_;
  std::uint64_t requests_ = 0;
};

class admin_site final : public nested_server::site {
public:
  admin_site(std::map<std::string, std::shared_ptr<cloud_site>> clouds, const recording& kept)
      : clouds_(std::move(clouds)), kept_(kept) {}
  void serve(const http::request& request, instant now, std::string_view client, const caller& back) override;

private:
  [[nodiscard]] http::response answer(const http::request& request);
  [[nodiscard]] http::response set_faults(std::string_view body);

  std::map<std::string, std::shared_ptr<cloud_site>> clouds_;
  const recording& kept_;
};

} // namespace nestor::emulator
