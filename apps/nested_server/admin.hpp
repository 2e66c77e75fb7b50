// What a judge asks a running server. Only with --admin, and only with the session key: it shows every secret in clear.
//
//   GET  /_admin/state?prefix=/s/x   what that state holds, its requests by route, its most requests in flight
//   GET  /_admin/states              how many states there are, how many hold settings, git providers, secrets
//   POST /_admin/reset               everything restarts empty
//   POST /_admin/faults              {"faults":["SPEC"]}: these from now on
#pragma once

#include <nested_server/faulty_server.hpp>

namespace nestor::nested_server {

bool is_admin(std::string_view target);
http::response admin_answer(faulty_server& server, const http::request& request, instant now);

} // namespace nestor::nested_server
