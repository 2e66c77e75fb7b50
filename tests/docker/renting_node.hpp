// A whole node over real io, with one account of the kind `docker`; what it tells its observer can be awaited.
#pragma once

#include <nestor/actors/system.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace nestor::tests {

class renting_node {
public:
  explicit renting_node(const std::string& socket);
  ~renting_node();
  renting_node(const renting_node&) = delete;
  renting_node& operator=(const renting_node&) = delete;

  sandbox_id create(const runtime_spec& runtime, const std::function<void(sandbox_policy&)>& with = {});
  std::shared_ptr<const sandbox_view> see(const sandbox_id& id);
  /// Until the sandbox is said to be that, or has ended otherwise; what it is then.
  status await(const sandbox_id& id, status wanted);
  /// Destroys it and waits until it has ended.
  status end(const sandbox_id& id);

  template <class Response, class Request>
  Response ask(Request request) {
    std::optional<Response> got;
    caf::scoped_actor self{system()};
    actors::ask(self, front(), std::chrono::seconds{30}, std::move(request))
      .receive([&](Response& r) { got = std::move(r); }, [](const caf::error&) {});
    if (!got)
      throw std::runtime_error{"the node did not answer"};
    return std::move(*got);
  }

private:
  caf::actor_system& system();
  const caf::actor& front();
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace nestor::tests
