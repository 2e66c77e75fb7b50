#include <support/saboteur.hpp>

#include <stdexcept>

namespace nestor::tests {
namespace {

std::string name_of(const io_request& request) {
  if (const auto* call = std::get_if<http_call>(&request))
    return std::string{http::name_of(call->request.verb)} + " " + call->request.target;
  if (std::holds_alternative<process_spawn>(request))
    return "spawn";
  return std::holds_alternative<process_find>(request) ? "find" : "end";
}

} // namespace

void saboteur::strike(mishap how, std::size_t nth, std::size_t times, asker_kind whose) {
  how_ = how;
  to_go_ = nth;
  times_ = times;
  whose_ = whose;
  what_.clear();
}

void saboteur::strike_always(mishap how, std::string what) {
  how_ = how;
  what_ = std::move(what);
}

bool saboteur::hits(const io_request& request) {
  if (how_ == mishap::none)
    return false;
  if (!what_.empty())
    return name_of(request).find(what_) != std::string::npos;
  bool http = std::holds_alternative<http_call>(request);
  if (whose_ != asker_kind::anyone && (whose_ == asker_kind::configurator) != http)
    return false;
  if (to_go_ > 0)
    return --to_go_, false;
  return times_ > 0 && (--times_, true);
}

void saboteur::perform(io_request request, actors::reply_to to) {
  if (!hits(request))
    return world_->perform(std::move(request), std::move(to));
  ++struck_;
  switch (how_) {
    case mishap::none: return;
    case mishap::throws: throw std::runtime_error{"CANARY-7f3a in an exception"};
    case mishap::throws_after:
      world_->perform(std::move(request), std::move(to));
      throw std::runtime_error{"CANARY-7f3a in an exception"};
    case mishap::unanswered: return;
    case mishap::supervisor_killed:
    case mishap::supervisor_told: end_supervisor(how_); return world_->perform(std::move(request), std::move(to));
  }
}

void saboteur::watch(const process_ref& process, actors::reply_to to) {
  world_->watch(process, std::move(to));
}

} // namespace nestor::tests
