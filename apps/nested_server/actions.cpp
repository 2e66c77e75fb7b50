#include <nested_server/actions.hpp>
#include <nested_server/schema.hpp>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ; // NOLINT(readability-redundant-declaration): POSIX leaves it to us

namespace nestor::nested_server {
namespace {

namespace asio = boost::asio;
using error = boost::system::error_code;

constexpr std::size_t read_step = 16U << 10U; // bytes
constexpr milliseconds drain_after_exit{500}; // a grandchild may hold the pipe open for ever

/// Our environment without the session key: what an action runs must not be able to read it.
std::vector<char*> child_environment() {
  std::vector<char*> kept;
  for (char** at = environ; *at != nullptr; ++at)
    if (!std::string_view{*at}.starts_with("SESSION_API_KEY="))
      kept.push_back(*at);
  kept.push_back(nullptr);
  return kept;
}

http::response answer(std::uint16_t status, wiped_string body) {
  http::response r;
  r.status = status;
  r.body = std::move(body);
  return r;
}

http::response detail(std::uint16_t status, std::string_view text) {
  wiped_string out = "{";
  append_name(out, "detail");
  append_text(out, text);
  return answer(status, out + "}");
}

void send(reply_door& back, http::response r) {
  wire_reply reply;
  reply.response = std::move(r);
  back.reply(std::move(reply));
}

/// Drops what is not UTF-8, so that any program's output can be carried in JSON.
std::string printable(std::string_view bytes) {
  auto valid = [](std::string_view text) {
    wiped_string scratch;
    append_text(scratch, text);
    return text.empty() || scratch.size() > 2;
  };
  if (valid(bytes))
    return std::string{bytes};
  std::string out;
  for (std::size_t i = 0; i < bytes.size();) {
    std::size_t length = 1;
    while (length <= 4 && i + length <= bytes.size() && !valid(bytes.substr(i, length)))
      ++length;
    if (length <= 4 && i + length <= bytes.size())
      out += bytes.substr(i, length);
    else
      out += '?', length = 1;
    i += length;
  }
  return out;
}

} // namespace

std::optional<action> action_of(const wiped_json& body, std::string& why) {
  const auto* given = member(body, "action");
  const auto* args = given ? member(*given, "args") : nullptr;
  action a;
  a.kind = given ? std::string{text_member(*given, "action")} : std::string{};
  if (a.kind != "run" && a.kind != "run_ipython") {
    why = "this server runs 'run' and 'run_ipython'";
    return std::nullopt;
  }
  auto name = a.kind == "run" ? "command" : "code";
  const auto* text = args ? member(*args, name) : nullptr;
  if (!text || !text->is_string()) {
    why = "args." + std::string{name} + " is not a string";
    return std::nullopt;
  }
  a.text = std::string{text_of(*text)};
  if (a.text.find('\0') != std::string::npos) {
    why = "args." + std::string{name} + " holds a NUL";
    return std::nullopt;
  }
  a.directory = std::string{text_member(*args, "cwd")};
  const auto* time = member(*given, "timeout");
  if (time && time->is_number() && time->get<double>() > 0) {
    auto seconds = std::min(time->get<double>(), static_cast<double>(action_time_max.count()));
    a.time = milliseconds{static_cast<std::int64_t>(seconds * 1000)};
  }
  return a;
}

wiped_string observation_of(const action& a, const action_end& end) {
  bool command = a.kind == "run";
  wiped_string out = "{";
  append_name(out, "observation");
  append_text(out, a.kind);
  append_name(out, "content");
  append_text(out, printable(end.output));
  append_name(out, "extras");
  out += '{';
  append_name(out, command ? "command" : "code");
  append_text(out, a.text);
  append_name(out, "metadata");
  out += "{\"exit_code\":" + wiped_string{std::to_string(end.exit_code)} + "},\"hidden\":false}";
  append_name(out, "message");
  append_text(out, end.timed_out ? "The time for it was up, and it was ended."
                                 : "It ended with exit code " + std::to_string(end.exit_code) + ".");
  append_name(out, "success");
  out += end.exit_code == 0 ? "true}" : "false}";
  return out;
}

/// One child process: its output through a pipe, its end through a pidfd, its time through a timer.
class action_site::run : public std::enable_shared_from_this<run> {
public:
  run(asio::io_context& io, action what, std::function<void(const action&, action_end)> done)
      : pipe_(io), process_(io), timer_(io), what_(std::move(what)), done_(std::move(done)) {}

  /// 0, or the errno of what failed.
  int start() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      return errno;
    int failed = spawn(ends[1]);
    ::close(ends[1]);
    if (failed != 0) {
      ::close(ends[0]);
      return failed;
    }
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK); // NOLINT(cppcoreguidelines-pro-type-vararg)
    pipe_.assign(ends[0]);
    process_.assign(
      static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U))); // glibc 2.36 declares its wrapper without extern "C"
    read();
    process_.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this()](error e) { self->exited(e); });
    timer_.expires_after(what_.time);
    timer_.async_wait([self = shared_from_this()](error e) { self->time_up(e); });
    return 0;
  }

  void kill() const {
    if (pid_ > 0)
      ::kill(-pid_, SIGKILL);
  }

private:
  int spawn(int output) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&how);
    ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, 1);
    ::posix_spawn_file_actions_adddup2(&files, output, 2);
    if (!what_.directory.empty())
      ::posix_spawn_file_actions_addchdir_np(&files, what_.directory.c_str());
    ::posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP); // its own group, so that its children end with it
    ::posix_spawnattr_setpgroup(&how, 0);
    bool shell = what_.kind == "run";
    std::string program = shell ? "/bin/sh" : "python3";
    std::string flag = "-c";
    std::array<char*, 4> argv{program.data(), flag.data(), what_.text.data(), nullptr};
    auto environment = child_environment();
    int failed = ::posix_spawnp(&pid_, program.c_str(), &files, &how, argv.data(), environment.data());
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&how);
    if (failed != 0)
      pid_ = -1;
    return failed;
  }

  void read() {
    pipe_.async_read_some(asio::buffer(step_), [self = shared_from_this()](error e, std::size_t count) {
      auto room = action_output_max - std::min(self->end_.output.size(), action_output_max);
      self->end_.output.append(self->step_.data(), std::min(count, room));
      self->cut_ = self->cut_ || count > room;
      if (!e)
        return self->read();
      self->output_ended_ = true;
      self->finish_if_over();
    });
  }

  void exited(error e) {
    if (e)
      return;
    int status = 0;
    ::waitpid(pid_, &status, 0);
    if (!end_.timed_out)
      end_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    has_exited_ = true;
    // Whatever it left in the background may hold the pipe: give what is in there a moment, then go on without.
    timer_.expires_after(drain_after_exit);
    timer_.async_wait([self = shared_from_this()](error failed) {
      if (!failed)
        self->finish();
    });
    finish_if_over();
  }

  void time_up(error e) {
    if (e || has_exited_)
      return;
    end_.timed_out = true;
    kill();
  }

  void finish_if_over() {
    if (has_exited_ && output_ended_)
      finish();
  }

  void finish() {
    if (!done_)
      return;
    timer_.cancel();
    error ignored;
    pipe_.close(ignored);
    process_.close(ignored);
    pid_ = -1;
    if (cut_)
      end_.output += "\n[the output is longer; only its beginning is kept]";
    std::exchange(done_, nullptr)(what_, std::move(end_));
  }

  asio::posix::stream_descriptor pipe_;
  asio::posix::stream_descriptor process_;
  asio::steady_timer timer_;
  action what_;
  std::function<void(const action&, action_end)> done_;
  action_end end_;
  std::array<char, read_step> step_{};
  pid_t pid_ = -1;
  bool cut_ = false;
  bool output_ended_ = false;
  bool has_exited_ = false;
};

action_site::action_site(asio::io_context& io, secret session_key, instant started)
    : io_(io), open_routes_(model_options{.dialect = "generic", .session_key = std::move(session_key)}, started) {}

action_site::~action_site() {
  if (running_)
    running_->kill();
}

void action_site::serve(const http::request& request, instant now, std::string_view client,
                        const std::shared_ptr<reply_door>& back) {
  auto path = parts_of(request.target).path;
  bool execute = path == "/execute_action";
  if (!execute && request.target.starts_with("/api"))
    return send(*back, detail(404, "Not Found"));
  if (!execute)
    return send(*back, open_routes_.handle(request, now, client).response);
  if (!open_routes_.authorized(request))
    return send(*back, detail(403, "Invalid API Key"));
  if (request.verb != http::method::post)
    return send(*back, detail(405, "Method Not Allowed"));
  take(request, back);
}

void action_site::take(const http::request& request, const std::shared_ptr<reply_door>& back) {
  auto body = parse_json(request.body);
  if (!body || !body->is_object())
    return send(*back, answer(422, R"({"detail":"Invalid request parameters","errors":"the body is no JSON object"})"));
  if (!member(*body, "action") || !member(*body, "action")->is_object())
    return send(*back, answer(422, R"({"detail":"Invalid request parameters","errors":"action: Field required"})"));
  std::string why;
  auto what = action_of(*body, why);
  if (!what)
    return send(*back, detail(500, "Internal server error: " + why));
  if (waiting_.size() >= actions_waiting_max)
    return send(*back, detail(503, "Too many actions wait"));
  waiting_.push_back({std::move(*what), back});
  if (!running_)
    next();
}

void action_site::next() {
  while (!running_ && !waiting_.empty()) {
    auto first = std::move(waiting_.front());
    waiting_.pop_front();
    running_ = std::make_shared<run>(io_, std::move(first.what),
                                     [weak = weak_from_this(), back = first.back](const action& a, action_end end) {
                                       send(*back, answer(200, observation_of(a, end)));
                                       if (auto self = weak.lock()) {
                                         self->running_.reset();
                                         self->next();
                                       }
                                     });
    if (int failed = running_->start(); failed != 0) {
      running_.reset();
      send(*first.back,
           detail(500, "Internal server error: it cannot be started: " + std::string{std::strerror(failed)}));
    }
  }
}

} // namespace nestor::nested_server
