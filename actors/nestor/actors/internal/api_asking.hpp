// How the API DESK's handlers ask other actors: the answer reaches its use, or the request is refused. For the desk's
// own sources.
#pragma once

#include <nestor/actors/api_desk.hpp>

namespace nestor::actors {

template <class Response, class Message>
void api_desk::ask(const request& r, const caf::actor& whom, Message message, std::function<void(Response&)> use) {
  self_->ask_untimed(whom, std::move(message))
    .then([use = std::move(use)](Response& response) { use(response); },
          [this, r](const caf::error&) {
            refuse(r, {errc::node_stopping, step::queue, "the node ended before it answered", 0, {}});
          });
}

} // namespace nestor::actors
