// A gRPC call as the request that a cloud is asked with, and a cloud's answer as what the call comes to. What stands
// between the two is the wire (grpc_front.hpp), or nothing in a simulation.
#pragma once

#include <nestor/http/message.hpp>
#include <nestor/seam/io_request.hpp>

namespace nestor::emulator {

/// A POST to the method, with the metadata as headers and the message as the body.
http::request request_of(const grpc_call& call);
/// Without `grpc-status` it is a proxy's, and told as gRPC's clients read one of that HTTP status.
grpc_answer answer_of(const http::response& response);

} // namespace nestor::emulator
