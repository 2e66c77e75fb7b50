// An HTTP/1.1 request as bytes, head and body in one buffer. Knows no socket. Exists because a message object with a
// field container costs more than all the appending it saves, and because a header value must never end a line.
#pragma once

#include <nestor/seam/io_request.hpp>

namespace nestor::io {

/// True when `call` can be written without breaking its own framing: an origin-form target and header names and values
/// without control characters, a host without any, and no header that is the client's business (Host, Connection,
/// Content-Length, Transfer-Encoding, Expect, Upgrade, TE, Trailer).
bool writable(const http_call& call);

/// Appends the request of a `writable` call to `out`.
void append_request(wiped_string& out, const http_call& call);

} // namespace nestor::io
