#include <nestor/bridge/real_io.hpp>

#include <nestor/actors/messages.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace nestor::bridge {
namespace {

/// A pending call holds its actor weakly: it must not keep a dead one in memory.
auto answer_to(const actors::reply_to& to) {
  return [to](auto reply) {
    if (auto whom = caf::actor_cast<caf::actor>(to.whom))
      actors::tell_from_outside(whom, actors::io_done{to.ticket, io_reply{std::move(reply)}});
  };
}

/// One set of rules for all that connects.
io::grpc_client_options options_of(const io::http_client_options& http) {
  io::grpc_client_options grpc;
  grpc.ca_file = http.ca_file;
  grpc.addresses = http.addresses;
  grpc.names = http.names;
  return grpc;
}

template <class... Ts>
struct overloaded : Ts... {
  using Ts::operator()...;
};

} // namespace

real_io::real_io(reactor& where, io::http_client_options http, io::processes_options processes)
    : where_(where), grpc_options_(options_of(http)),
      http_(std::make_unique<io::http_client>(where.context(), std::move(http))),
      processes_(std::make_unique<io::processes>(where.context(), std::move(processes))) {}

real_io::~real_io() = default;

void real_io::close() {
  http_.reset();
  grpc_.reset();
  processes_.reset();
}

void real_io::perform(io_request request, actors::reply_to to) {
  if (where_.here())
    return perform_here(std::move(request), to);
  boost::asio::post(where_.context(),
                    [this, request = std::move(request), to]() mutable { perform_here(std::move(request), to); });
}

void real_io::perform_here(io_request request, const actors::reply_to& to) {
  if (!http_)
    return; // closed: the asker is going, too
  std::visit(overloaded{[&](http_call& call) { http_->call(std::move(call), answer_to(to)); },
                        [&](grpc_call& call) { grpc().call(std::move(call), answer_to(to)); },
                        [&](process_spawn& start) { processes_->spawn(std::move(start), answer_to(to)); },
                        [&](process_end& end) { processes_->end(std::move(end), answer_to(to)); },
                        [&](process_look& look) { processes_->look(std::move(look), answer_to(to)); },
                        [&](process_find& find) { processes_->find(std::move(find), answer_to(to)); },
                        [&](process_output& of) { processes_->output(std::move(of), answer_to(to)); }},
             request);
}

/// Made when it is first needed: libgrpc++ brings threads that most nodes have no use for.
io::grpc_client& real_io::grpc() {
  if (!grpc_)
    grpc_ = std::make_unique<io::grpc_client>(where_.context(), grpc_options_);
  return *grpc_;
}

void real_io::watch(const process_ref& process, actors::reply_to to) {
  auto begin = [this, process, to] {
    if (processes_)
      processes_->watch(process, [to](process_absent how) {
        if (auto whom = caf::actor_cast<caf::actor>(to.whom))
          actors::tell_from_outside(whom, actors::process_gone{to.ticket, std::move(how)});
      });
  };
  where_.here() ? begin() : boost::asio::post(where_.context(), begin);
}

} // namespace nestor::bridge
