#include <nestor/actors/trace_sender.hpp>

#include <nestor/api/trace_book.hpp>

#include <algorithm>

namespace nestor::actors {

void trace_sender::add(const surroundings& around, std::string spans) {
  if (waiting_.size() >= waiting_max) {
    ++dropped_;
    return;
  }
  waiting_.push_back(std::move(spans));
  if (out_ == 0 && !resting_)
    go_on(around);
}

/// The next batch, when there is one.
void trace_sender::go_on(const surroundings& around) {
  resting_ = false;
  if (out_ != 0 || waiting_.empty())
    return;
  std::string spans;
  for (; out_ < batch_max && !waiting_.empty(); ++out_) {
    spans.append(out_ == 0 ? "" : ",").append(waiting_.front());
    waiting_.pop_front();
  }
  http::request post{http::method::post, target_.path, target_.headers, {}};
  post.headers.push_back({"Content-Type", wiped_string{"application/json"}});
  post.body = api::otlp_body(spans, target_.version, around.journal->installation().text);
  around.io->perform(http_call{target_.to, std::move(post), within, address_source::node},
                     {self_->address(), ++ticket_});
}

void trace_sender::hear(const surroundings& around, const io_done& done) {
  if (done.ticket != ticket_ || out_ == 0)
    return;
  const auto* reply = std::get_if<http_reply>(&done.reply);
  const auto* response = reply ? std::get_if<http::response>(reply) : nullptr;
  bool taken = response && response->status >= 200 && response->status < 300;
  (taken ? sent_ : dropped_) += std::exchange(out_, 0);
  if (taken)
    return go_on(around);
  resting_ = true;
  self_->tell(around.timers, wake_at{around.clock->now() + rests, self_->address(), alarm});
}

} // namespace nestor::actors
