#include <nestor/io/grpc_client.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#ifdef NESTOR_GRPC

#  include <nestor/io/clock.hpp>

#  include <boost/asio/steady_timer.hpp>
#  include <grpcpp/generic/generic_stub.h>
#  include <grpcpp/grpcpp.h>

#  include <algorithm>
#  include <atomic>
#  include <fstream>
#  include <list>
#  include <map>
#  include <mutex>
#  include <sstream>
#  include <thread>
#  include <unordered_set>

namespace nestor::io {
namespace {

using http::transport_error;

// As Modal's own SDKs: proxies on the way forget a silent connection after a minute or so.
constexpr int keepalive_ms = 30'000, keepalive_timeout_ms = 10'000;
// A server that is back is found again soon; libgrpc++'s own goes up to two minutes.
constexpr int reconnect_first_ms = 100, reconnect_most_ms = 5'000;
// A connection nobody used for so long is closed.
constexpr int idle_ms = 60'000;
// libgrpc++ reports what is beyond its own limit as RESOURCE_EXHAUSTED, which servers say, too. Ours is reached first.
constexpr std::size_t library_limit_factor = 16;

/// Where certificates are on the systems we know; the first that is there.
constexpr std::array system_certificates{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                         "/etc/ssl/cert.pem"};

std::optional<std::string> content_of(const std::string& file) {
  std::ifstream in{file};
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return std::nullopt;
  return text.str();
}

/// Nothing: the library looks for the system's itself. An empty one trusts nobody.
std::optional<std::string> trusted(const std::string& for_all, const std::string& own) {
  if (for_all.empty() && own.empty())
    return std::nullopt;
  std::string all;
  for (const auto* file : system_certificates)
    if (auto text = content_of(file); text && !text->empty()) {
      all = std::move(*text);
      break;
    }
  for (const auto& file : {for_all, own})
    if (!file.empty()) {
      auto text = content_of(file);
      if (!text || text->empty())
        return std::string{}; // a file that was named and cannot be read is no reason to trust fewer
      all += "\n" + *text;
    }
  return all;
}

/// "ipv4:///10.0.0.1:443,10.0.0.2:443". With the slashes, a call that got no connection (whose peer is then said to be
/// the target itself) is told from one that did (whose peer has none).
constexpr std::string_view unconnected = ":///";

std::string target_of(const std::vector<ip_address>& addresses, std::uint16_t port) {
  bool v6 = addresses.front().v6;
  std::string target{v6 ? "ipv6" : "ipv4"};
  target += unconnected;
  bool first = true;
  for (const auto& each : addresses)
    if (each.v6 == v6) { // one target holds one family
      auto text = to_string(each);
      target += (first ? "" : ",") + (v6 ? "%5B" + text + "%5D" : text) + ":" + std::to_string(port);
      first = false;
    }
  return target;
}

/// Which of the errors before anything was sent: the library tells in words only.
transport_error unsent(const grpc::Status& status) {
  const auto& words = status.error_message();
  auto says = [&](std::string_view what) { return words.find(what) != std::string::npos; };
  if (says("andshake") || says("CERTIFICATE") || says("certificate"))
    return transport_error::tls_refused;
  return says("onnection refused") ? transport_error::refused : transport_error::unreachable;
}

} // namespace

// -- one call --------------------------------------------------------------------------------------------------------

/// Everything of it after its start happens on the queue's thread, one step at a time.
struct rpc_exchange {
  enum class phase : std::uint8_t { starting, writing, reading, finishing };

  grpc::ClientContext context;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
  grpc::ByteBuffer request, incoming;
  grpc::Status status;
  std::function<void(grpc_reply)> done;
  wiped_string collected;
  std::size_t answer_max = 0;
  bool connected = false;
  bool too_large = false;
  phase now = phase::starting;

  /// False: that was all.
  bool step(bool ok) {
    if (now == phase::finishing)
      return false;
    if (!ok)
      return finish();
    switch (now) {
      case phase::starting:
        connected = true; // the library has given it to one, and tells no more when it fails later
        now = phase::writing;
        stream->WriteLast(request, grpc::WriteOptions{}, this);
        return true;
      case phase::reading:
        if (!collect())
          return finish();
        [[fallthrough]];
      case phase::writing:
      case phase::finishing: break;
    }
    now = phase::reading;
    stream->Read(&incoming, this);
    return true;
  }

  [[nodiscard]] grpc_reply reply() {
    auto peer = context.peer();
    bool sent = connected || (peer.find(unconnected) == std::string::npos && peer != "unknown");
    if (!sent && !status.ok())
      return unsent(status);
    bool beyond_library = status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED &&
                          status.error_message().find("larger than max") != std::string::npos;
    if (too_large || beyond_library)
      return transport_error::too_large;
    grpc_answer answer{static_cast<int>(status.error_code()), status.error_message(), {}, std::move(collected)};
    for (const auto& [name, value] : context.GetServerTrailingMetadata())
      answer.trailers.emplace_back(std::string{name.data(), name.size()}, std::string{value.data(), value.size()});
    return answer;
  }

private:
  bool finish() {
    now = phase::finishing;
    stream->Finish(&status, this);
    return true;
  }
  bool collect() {
    if (collected.size() + incoming.Length() > answer_max) {
      too_large = true;
      context.TryCancel();
      return false;
    }
    std::vector<grpc::Slice> slices;
    if (!incoming.Dump(&slices).ok())
      return false;
    for (const auto& slice : slices)
      collected.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    return true;
  }
};

// -- all of them -----------------------------------------------------------------------------------------------------

struct grpc_client::state : std::enable_shared_from_this<state> {
  state(boost::asio::io_context& c, grpc_client_options o)
      : context(c), options(std::move(o)), names(c, std::move(options.names)), thread([this] { turn(); }) {}

  boost::asio::io_context& context;
  grpc_client_options options;
  resolver names;
  std::size_t open = 0; // the context's thread only
  struct kept_channel {
    std::shared_ptr<grpc::Channel> channel;
    std::uint64_t used = 0;
  };
  std::map<std::pair<endpoint, std::string>, kept_channel> channels; // the context's thread only
  std::uint64_t uses = 0;
  grpc::CompletionQueue queue;
  std::mutex mutex;
  std::unordered_set<rpc_exchange*> out; // under `mutex`
  bool closing = false;                  // under `mutex`
  std::thread thread;                    // last: what it uses is there before it and after it

  void answer(std::function<void(grpc_reply)> done, grpc_reply reply);
  void begin(grpc_call& what, std::function<void(grpc_reply)> done);
  void connect(grpc_call& what, const resolved& found, instant until, std::function<void(grpc_reply)> done);
  std::shared_ptr<grpc::Channel> channel_to(const endpoint& to, const std::string& target);
  void turn();
  void close();
};

/// On the context's thread, and only while we are there.
void grpc_client::state::answer(std::function<void(grpc_reply)> done, grpc_reply reply) {
  boost::asio::post(context, [weak = weak_from_this(), done = std::move(done), reply = std::move(reply)]() mutable {
    auto self = weak.lock();
    if (!self)
      return;
    --self->open;
    self.reset(); // the answer may end us
    done(std::move(reply));
  });
}

void grpc_client::state::begin(grpc_call& what, std::function<void(grpc_reply)> done) {
  ++open;
  if (open > options.calls)
    return answer(std::move(done), transport_error::overloaded);
  auto until = steady_now() + what.timeout;
  if (!what.via.empty()) {
    auto address = parse_address(what.via);
    return connect(what, address ? resolved{resolved::found, {*address}} : resolved{}, until, std::move(done));
  }
  if (auto found = names.known(what.to.host))
    return connect(what, *found, until, std::move(done));
  // The look-up has no deadline of its own: whichever comes first has the call.
  struct waiting {
    grpc_call what;
    std::function<void(grpc_reply)> done;
    boost::asio::steady_timer timer;
  };
  auto held = std::make_shared<waiting>(waiting{std::move(what), std::move(done), boost::asio::steady_timer{context}});
  held->timer.expires_after(held->what.timeout);
  held->timer.async_wait([weak = weak_from_this(), held](boost::system::error_code cancelled) {
    if (auto self = weak.lock(); self && !cancelled && held->done)
      self->answer(std::exchange(held->done, nullptr), transport_error::name_unresolved);
  });
  names.resolve(held->what.to.host, [weak = weak_from_this(), held, until](const resolved& found) {
    held->timer.cancel();
    if (auto self = weak.lock(); self && held->done)
      self->connect(held->what, found, until, std::exchange(held->done, nullptr));
  });
}

void grpc_client::state::connect(grpc_call& what, const resolved& found, instant until,
                                 std::function<void(grpc_reply)> done) {
  if (found.what != resolved::found)
    return answer(std::move(done),
                  found.what == resolved::overloaded ? transport_error::overloaded : transport_error::name_unresolved);
  std::vector<ip_address> good;
  for (const auto& each : found.addresses)
    if (allowed(each, what.from, options.addresses))
      good.push_back(each);
  if (good.empty())
    return answer(std::move(done), transport_error::address_refused);
  auto left = until - steady_now();
  if (left.count() <= 0)
    return answer(std::move(done), transport_error::unreachable);
  auto channel = channel_to(what.to, target_of(good, what.to.port));
  if (!channel)
    return answer(std::move(done), transport_error::tls_refused);

  auto made = std::make_unique<rpc_exchange>();
  made->channel = channel;
  made->done = std::move(done);
  made->answer_max = options.answer_max;
  made->context.set_deadline(gpr_time_from_micros(left.count(), GPR_TIMESPAN));
  for (const auto& each : what.metadata)
    made->context.AddMetadata(each.name, std::string{std::string_view{each.value}});
  grpc::Slice bytes{what.message.data(), what.message.size()};
  made->request = grpc::ByteBuffer{&bytes, 1};
  made->stream = grpc::GenericStub{channel}.PrepareCall(&made->context, what.method, &queue);
  std::lock_guard lock{mutex}; // before its first step can be over
  auto* begun = made.release();
  out.insert(begun);
  begun->stream->StartCall(begun);
}

std::shared_ptr<grpc::Channel> grpc_client::state::channel_to(const endpoint& to, const std::string& target) {
  auto& kept = channels[{to, target}];
  kept.used = ++uses;
  if (kept.channel)
    return kept.channel;
  grpc::ChannelArguments with;
  auto authority = (to.host.find(':') == std::string::npos ? to.host : "[" + to.host + "]");
  with.SetString(GRPC_ARG_DEFAULT_AUTHORITY, authority + ":" + std::to_string(to.port));
  with.SetUserAgentPrefix("nestor");
  with.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  with.SetInt(GRPC_ARG_ENABLE_RETRIES, 0); // whether to ask again is decided where it is known what was asked
  with.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
  with.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_timeout_ms);
  with.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, idle_ms);
  with.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, reconnect_first_ms);
  with.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, reconnect_most_ms);
  with.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, reconnect_most_ms);
  with.SetMaxReceiveMessageSize(static_cast<int>(options.answer_max * library_limit_factor));
  auto credentials = grpc::InsecureChannelCredentials();
  if (to.tls) {
    with.SetSslTargetNameOverride(to.host); // the target is the address that was held to the rules
    grpc::SslCredentialsOptions trust;
    if (auto roots = trusted(options.ca_file, to.ca_file)) {
      if (roots->empty())
        return channels.erase({to, target}), nullptr;
      trust.pem_root_certs = std::move(*roots);
    }
    credentials = grpc::SslCredentials(trust);
  }
  kept.channel = grpc::CreateCustomChannel(target, credentials, with);
  auto made = kept.channel;
  if (channels.size() > options.channels) // calls on it keep it until they are over
    channels.erase(std::ranges::min_element(channels, {}, [](const auto& each) { return each.second.used; }));
  return made;
}

/// The queue's thread: takes steps until the queue is shut down and empty.
void grpc_client::state::turn() {
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
    auto* at = static_cast<rpc_exchange*>(tag);
    std::unique_lock lock{mutex};
    bool goes_on = at->step(ok);
    if (goes_on)
      continue;
    out.erase(at);
    bool last = closing && out.empty();
    bool told = !closing;
    lock.unlock();
    std::unique_ptr<rpc_exchange> over{at};
    if (told)
      answer(std::move(over->done), over->reply());
    over.reset();
    if (last)
      queue.Shutdown();
  }
}

void grpc_client::state::close() {
  {
    std::lock_guard lock{mutex};
    closing = true;
    for (auto* each : out)
      each->context.TryCancel();
    if (out.empty())
      queue.Shutdown();
  }
  thread.join();
}

grpc_client::grpc_client(boost::asio::io_context& context, grpc_client_options options)
    : state_(std::make_shared<state>(context, std::move(options))) {}

grpc_client::~grpc_client() {
  state_->close();
}

void grpc_client::call(grpc_call what, std::function<void(grpc_reply)> done) {
  state_->begin(what, std::move(done));
}

} // namespace nestor::io

#else

namespace nestor::io {

struct grpc_client::state {
  boost::asio::io_context& context;
};

grpc_client::grpc_client(boost::asio::io_context& context, grpc_client_options)
    : state_(std::make_shared<state>(state{context})) {}

grpc_client::~grpc_client() = default;

void grpc_client::call(grpc_call, std::function<void(grpc_reply)> done) {
  constexpr int unimplemented = 12; // nothing was done, and asking again does not help
  boost::asio::post(state_->context, [weak = std::weak_ptr{state_}, done = std::move(done)] {
    if (!weak.expired())
      done(grpc_answer{unimplemented, "this build of Nestor has no gRPC (NESTOR_GRPC=OFF)", {}, {}});
  });
}

} // namespace nestor::io

#endif
