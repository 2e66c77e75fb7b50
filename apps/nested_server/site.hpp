// Who answers on a port, and the way back. A site may answer at once (the model) or later (a command that runs).
#pragma once

#include <nested_server/faulty_server.hpp>

#include <memory>
#include <string_view>

namespace nestor::nested_server {

/// The way back to one connection. `reply` is called exactly once per request, on the listener's thread.
class reply_door {
public:
  virtual ~reply_door() = default;
  virtual void reply(wire_reply&& r) = 0;
  /// Counts the request in `t` until its answer is written or the connection ends.
  virtual void count_in(traffic& t) = 0;

  /// An answer in parts instead of `reply`: its head, then `more` as often as there is something, then `end`. The
  /// client may be gone before the end: then the rest is dropped.
  virtual void begin(const http::response& head) = 0;
  virtual void more(std::string_view bytes) = 0;
  virtual void end() = 0;
};

class site {
public:
  virtual ~site() = default;
  /// False: the connection is closed before anything is read.
  virtual bool accepts_connection() { return true; }
  /// The headers that a dialect reads (connection.cpp) are enough for it; others are not even copied.
  [[nodiscard]] virtual bool reads_every_header() const { return false; }
  /// `request` is valid during the call.
  virtual void serve(const http::request& request, instant now, std::string_view client,
                     const std::shared_ptr<reply_door>& back) = 0;
};

/// The nested server itself.
class model_site final : public site {
public:
  /// `admin`: also answer `GET /_admin/…` (admin.hpp), which shows everything in clear.
  model_site(faulty_server server, bool admin) : server_(std::move(server)), admin_(admin) {}

  bool accepts_connection() override { return server_.accepts_connection(); }
  void serve(const http::request& request, instant now, std::string_view client,
             const std::shared_ptr<reply_door>& back) override;
  faulty_server& server() { return server_; }

private:
  faulty_server server_;
  bool admin_;
};

} // namespace nestor::nested_server
