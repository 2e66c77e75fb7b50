// The io seam over the real world: the HTTP and gRPC clients and the child processes of io/, reached from actors,
// answered with messages. The only code that knows both sides.
#pragma once

#include <nestor/actors/seams.hpp>
#include <nestor/bridge/reactor.hpp>
#include <nestor/io/grpc_client.hpp>
#include <nestor/io/http_client.hpp>
#include <nestor/io/processes.hpp>

#include <memory>

namespace nestor::bridge {

class real_io final : public actors::io_port {
public:
  /// Call on the reactor's thread; destroy there, too.
  real_io(reactor& where, io::http_client_options http, io::processes_options processes);
  ~real_io() override;

  void perform(io_request request, actors::reply_to to) override;
  void watch(const process_ref& process, actors::reply_to to) override;
  /// Ends what is out without an answer; afterwards nothing is performed any more.
  void close();

private:
  void perform_here(io_request request, const actors::reply_to& to);
  io::grpc_client& grpc();

  reactor& where_;
  io::grpc_client_options grpc_options_;
  std::unique_ptr<io::http_client> http_;
  std::unique_ptr<io::grpc_client> grpc_;
  std::unique_ptr<io::processes> processes_;
};

} // namespace nestor::bridge
