#include <emulator/grpc_front.hpp>

#include <stdexcept>

#ifdef NESTOR_GRPC

#  include <emulator/rpc_form.hpp>

#  include <nestor/io/clock.hpp>

#  include <boost/asio/io_context.hpp>
#  include <boost/asio/post.hpp>
#  include <boost/asio/steady_timer.hpp>
#  include <grpcpp/generic/async_generic_service.h>
#  include <grpcpp/grpcpp.h>

#  include <deque>
#  include <fstream>
#  include <limits>
#  include <mutex>
#  include <optional>
#  include <sstream>

namespace nestor::emulator {
namespace {

using nested_server::wire_reply;

// As the providers' own: what an SDK sends, an image's context included.
constexpr int message_max = 100 << 20;

grpc::ByteBuffer buffer_of(std::string_view bytes) {
  grpc::Slice slice{bytes.data(), bytes.size()};
  return grpc::ByteBuffer{&slice, 1};
}

/// One call. libgrpc++ tells of it on its own threads; it is answered from the cloud's. It keeps itself until libgrpc++
/// has done with it.
class conversation final : public grpc::ServerGenericBidiReactor, public std::enable_shared_from_this<conversation> {
public:
  using taker = std::function<void(std::shared_ptr<const http::request>, std::shared_ptr<conversation>)>;

  conversation(grpc::GenericCallbackServerContext& context, taker take) : context_(context), take_(std::move(take)) {}

  void begin(std::shared_ptr<conversation> self) {
    self_ = std::move(self);
    StartRead(&asked_);
  }

  // -- libgrpc++ ----------------------------------------------------------------------------------------------------

  void OnReadDone(bool ok) override {
    if (!ok)
      return over({grpc::StatusCode::INVALID_ARGUMENT, "there is no request"});
    auto request = std::make_shared<http::request>();
    request->verb = http::method::post;
    request->target = context_.method();
    for (const auto& [name, value] : context_.client_metadata())
      request->headers.push_back({std::string{name.data(), name.size()}, wiped_string{value.data(), value.size()}});
    request->headers.push_back({"content-type", wiped_string{"application/grpc"}}); // the library keeps it to itself
    std::vector<grpc::Slice> slices;
    if (asked_.Dump(&slices).ok())
      for (const auto& slice : slices)
        request->body.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    take_(std::move(request), shared_from_this());
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard lock{mutex_};
    waiting_.pop_front();
    if (ok && !waiting_.empty())
      return StartWrite(&waiting_.front());
    if (!ok)
      waiting_.clear();
    if (last_ && !finished_)
      finish();
  }
  void OnCancel() override { over(grpc::Status::CANCELLED); }
  void OnDone() override { self_.reset(); }

  // -- the cloud ----------------------------------------------------------------------------------------------------

  void send(std::string_view bytes) {
    std::lock_guard lock{mutex_};
    if (finished_ || last_)
      return;
    waiting_.push_back(buffer_of(bytes));
    if (waiting_.size() == 1)
      StartWrite(&waiting_.front());
  }
  void over(grpc::Status status, const grpc_answer* with = nullptr) {
    std::lock_guard lock{mutex_};
    if (finished_ || last_)
      return;
    if (with)
      for (const auto& [name, value] : with->trailers)
        context_.AddTrailingMetadata(name, value);
    last_ = std::move(status);
    if (waiting_.empty())
      finish();
  }
  /// Broken off: the client hears of no status.
  void cut() {
    std::lock_guard lock{mutex_};
    if (finished_)
      return; // the context may be gone
    context_.TryCancel();
    over(grpc::Status::CANCELLED);
  }

private:
  void finish() {
    finished_ = true;
    Finish(*last_);
  }

  grpc::GenericCallbackServerContext& context_;
  taker take_;
  grpc::ByteBuffer asked_;
  std::recursive_mutex mutex_;           // the library may tell of what it is asked for before it returns
  std::deque<grpc::ByteBuffer> waiting_; // the first is being written
  std::optional<grpc::Status> last_;
  bool finished_ = false;
  std::shared_ptr<conversation> self_;
};

grpc::Status status_of(const grpc_answer& answer) {
  return {static_cast<grpc::StatusCode>(answer.status), answer.status_message};
}

class door final : public nested_server::reply_door {
public:
  door(boost::asio::io_context& io, std::shared_ptr<conversation> with) : io_(io), with_(std::move(with)) {}

  void reply(wire_reply&& r) override {
    if (r.delay.count() == 0)
      return now(r);
    auto timer = std::make_shared<boost::asio::steady_timer>(io_, r.delay);
    timer->async_wait([timer, with = with_, kept = std::make_shared<wire_reply>(std::move(r)), &io = io_](auto failed) {
      if (!failed)
        door{io, with}.now(*kept);
    });
  }
  void count_in(nested_server::traffic&) override {}
  void begin(const http::response& head) override { head_ = answer_of(head); }
  void more(std::string_view bytes) override { with_->send(bytes); }
  void end() override { with_->over(status_of(head_), &head_); }

private:
  void now(const wire_reply& r) {
    if (r.how == wire_reply::way::hang)
      return; // until the client has enough
    if (r.how != wire_reply::way::answer || r.body_sent != std::numeric_limits<std::size_t>::max())
      return with_->cut();
    auto answer = answer_of(r.response);
    if (answer.status == 0)
      with_->send(answer.message);
    with_->over(status_of(answer), &answer);
  }

  boost::asio::io_context& io_;
  std::shared_ptr<conversation> with_;
  grpc_answer head_;
};

class any_service final : public grpc::CallbackGenericService {
public:
  any_service(boost::asio::io_context& io, std::shared_ptr<nested_server::site> who) : io_(io), who_(std::move(who)) {}

private:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    auto take = [this](std::shared_ptr<const http::request> request, std::shared_ptr<conversation> with) {
      boost::asio::post(io_, [this, request = std::move(request), with = std::move(with)] {
        who_->serve(*request, io::steady_now(), "127.0.0.1", std::make_shared<door>(io_, with));
      });
    };
    auto made = std::make_shared<conversation>(*context, std::move(take));
    made->begin(made);
    return made.get();
  }

  boost::asio::io_context& io_;
  std::shared_ptr<nested_server::site> who_;
};

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in{file};
  std::ostringstream text;
  text << in.rdbuf();
  if (!in || text.str().empty())
    throw std::runtime_error("cannot read " + file.string());
  return text.str();
}

} // namespace

struct grpc_front::parts {
  boost::asio::io_context& io;
  std::vector<std::unique_ptr<any_service>> services;
  std::vector<std::unique_ptr<grpc::Server>> servers; // after what they serve, so that they end before it
};

grpc_front::grpc_front(boost::asio::io_context& io) : parts_(std::make_unique<parts>(parts{io, {}, {}})) {}

grpc_front::~grpc_front() {
  for (auto& each : parts_->servers)
    each->Shutdown(gpr_inf_past(GPR_CLOCK_REALTIME)); // nothing is waited for
}

std::uint16_t grpc_front::listen(std::uint16_t port, const std::filesystem::path& tls,
                                 std::shared_ptr<nested_server::site> who) {
  auto credentials = grpc::InsecureServerCredentials();
  if (!tls.empty()) {
    grpc::SslServerCredentialsOptions own;
    own.pem_key_cert_pairs.push_back({content_of(tls / "server.key"), content_of(tls / "server.pem")});
    credentials = grpc::SslServerCredentials(own);
  }
  grpc::ServerBuilder builder;
  int taken = 0;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), credentials, &taken);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0); // a port that is taken is an error, not a share
  builder.SetMaxReceiveMessageSize(message_max);
  parts_->services.push_back(std::make_unique<any_service>(parts_->io, std::move(who)));
  builder.RegisterCallbackGenericService(parts_->services.back().get());
  auto server = builder.BuildAndStart();
  if (!server || taken == 0)
    throw std::runtime_error("cannot listen on 127.0.0.1:" + std::to_string(port) + " for gRPC");
  parts_->servers.push_back(std::move(server));
  return static_cast<std::uint16_t>(taken);
}

} // namespace nestor::emulator

#else

namespace nestor::emulator {

struct grpc_front::parts {};

grpc_front::grpc_front(boost::asio::io_context&) {}

grpc_front::~grpc_front() = default;

std::uint16_t grpc_front::listen(std::uint16_t, const std::filesystem::path&, std::shared_ptr<nested_server::site>) {
  throw std::runtime_error("this build has no gRPC (NESTOR_GRPC=OFF)");
}

} // namespace nestor::emulator

#endif
