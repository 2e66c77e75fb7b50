// A cloud behind its mishaps: what a client meets. The same for every provider, so no provider's model knows of faults
// but by the `affliction` of what it creates.
#pragma once

#include <emulator/cloud.hpp>
#include <emulator/mishap.hpp>

namespace nestor::emulator {

class troubled_cloud {
public:
  troubled_cloud(std::unique_ptr<cloud> behind, clockwork& time, mishap_plan plan = mishap_plan{})
      : cloud_(std::move(behind)), time_(time), plan_(std::move(plan)) {}

  /// `request` is valid during the call.
  void serve(const http::request& request, caller back);
  void set_mishaps(mishap_plan plan) { plan_ = std::move(plan); }
  [[nodiscard]] const mishap_plan& plan() const { return plan_; }
  [[nodiscard]] const cloud& behind() const { return *cloud_; }

private:
  std::unique_ptr<cloud> cloud_;
  clockwork& time_;
  mishap_plan plan_;
};

} // namespace nestor::emulator
