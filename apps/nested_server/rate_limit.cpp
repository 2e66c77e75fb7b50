#include <nested_server/rate_limit.hpp>

#include <algorithm>

namespace nestor::nested_server {

rate_limiter::client_times& rate_limiter::times_of(std::string_view client) {
  auto at = std::ranges::find(clients_, client, &client_times::client);
  if (at != clients_.end())
    return *at;
  if (clients_.size() >= rate_clients_max)
    clients_.erase(std::ranges::min_element(clients_, {}, &client_times::latest));
  return clients_.emplace_back(client_times{.client = std::string{client}, .latest = {}});
}

rate_verdict rate_limiter::admit(std::string_view client, instant now) {
  auto& seen = times_of(client);
  auto recent = static_cast<std::size_t>(std::count_if(seen.times.begin(),
                                                       seen.times.begin() + static_cast<std::ptrdiff_t>(seen.kept),
                                                       [&](instant at) { return now - at < rate_window; }));
  auto count = recent + 1;
  seen.latest = now;
  if (seen.kept < seen.times.size()) {
    seen.times[seen.kept++] = now;
  } else {
    seen.times[seen.oldest] = now;
    seen.oldest = (seen.oldest + 1) % seen.times.size();
  }
  return count > refused_after   ? rate_verdict::refuse
         : count > delayed_after ? rate_verdict::delay
                                 : rate_verdict::pass;
}

} // namespace nestor::nested_server
