// The reference that the product's cost is measured against: the same requests, written the way a good C++ engineer
// would write them with Beast coroutines and nlohmann/json, and nothing else. No supervision, no repair.
// Prints one JSON line; exit code 1 when a sandbox failed.
#include "bench_script.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <unordered_map>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using json = nlohmann::ordered_json;

namespace {

constexpr auto request_timeout = std::chrono::seconds{30};

struct prepared_request {
  http::verb verb;
  std::string target;
  json body; ///< null for none
  unsigned status;
};

struct connection {
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
};

struct campaign {
  bench::options options;
  bench::script script;
  std::vector<prepared_request> requests;
  std::unordered_map<std::string, std::vector<std::unique_ptr<connection>>> idle; ///< kept alive, per origin
  std::uint64_t next = 0, ok = 0, failed = 0;
};

/// The body of one sandbox: the template with every string expanded.
json personalised(const json& node, std::uint64_t index) {
  if (node.is_string())
    return bench::expand(node.get_ref<const std::string&>(), index);
  json result = node;
  if (node.is_structured())
    for (auto at = result.begin(); at != result.end(); ++at)
      *at = personalised(*at, index);
  return result;
}

asio::awaitable<std::unique_ptr<connection>> connect(campaign& work, const bench::origin& where) {
  auto& kept = work.idle[where.host + ":" + where.port];
  if (!kept.empty()) {
    auto result = std::move(kept.back());
    kept.pop_back();
    co_return result;
  }
  auto executor = co_await asio::this_coro::executor; // on its own line: g++ 12 destroys temporaries around it twice
  auto result = std::make_unique<connection>(connection{beast::tcp_stream{executor}, {}});
  result->stream.expires_after(request_timeout);
  tcp::endpoint peer{asio::ip::make_address(where.host), static_cast<std::uint16_t>(std::stoi(where.port))};
  auto [failed] = co_await result->stream.async_connect(peer, asio::as_tuple(asio::use_awaitable));
  if (failed)
    co_return nullptr;
  result->stream.socket().set_option(tcp::no_delay(true));
  co_return result;
}

asio::awaitable<bool> configure(campaign& work, std::uint64_t index) {
  constexpr auto tuple = asio::as_tuple(asio::use_awaitable);
  auto where = bench::parse_origin(bench::expand(work.options.origin, index));
  auto to = co_await connect(work, where);
  if (!to)
    co_return false;
  bool keep_alive = true;
  for (const auto& wanted : work.requests) {
    http::request<http::string_body> request{wanted.verb, where.path + bench::expand(wanted.target, index), 11};
    request.set(http::field::host, where.host + ":" + where.port);
    request.set(http::field::user_agent, "beast_client");
    request.set(http::field::accept, "application/json");
    for (const auto& [name, value] : work.script.headers)
      request.set(name, bench::expand(value, index));
    if (!wanted.body.is_null()) {
      request.set(http::field::content_type, "application/json");
      request.body() = personalised(wanted.body, index).dump();
    }
    request.prepare_payload();

    to->stream.expires_after(request_timeout);
    if (auto [failed, bytes] = co_await http::async_write(to->stream, request, tuple); failed)
      co_return false;
    http::response<http::string_body> response;
    if (auto [failed, bytes] = co_await http::async_read(to->stream, to->buffer, response, tuple); failed)
      co_return false;
    if (response.result_int() != wanted.status)
      co_return false;
    keep_alive = response.keep_alive();
  }
  if (keep_alive) {
    to->stream.expires_never();
    work.idle[where.host + ":" + where.port].push_back(std::move(to));
  }
  co_return true;
}

asio::awaitable<void> worker(campaign& work) {
  while (work.next < work.options.count) {
    auto index = work.next++;
    bool configured = co_await configure(work, index);
    ++(configured ? work.ok : work.failed);
  }
}

} // namespace

int main(int argc, char** argv) try {
  asio::io_context context{1}; // outlives the connections that `work` keeps
  campaign work;
  work.options = bench::parse_options(argc, argv);
  work.script = bench::read_script(work.options.script);
  for (const auto& line : work.script.requests)
    work.requests.push_back({http::string_to_verb(line.method), line.target,
                             line.body.empty() ? json() : json::parse(line.body), static_cast<unsigned>(line.status)});

  for (std::size_t i = 0; i < std::min<std::uint64_t>(work.options.concurrency, work.options.count); ++i)
    asio::co_spawn(context, worker(work), asio::detached);

  auto cpu_before = bench::cpu_now();
  auto begin = std::chrono::steady_clock::now();
  context.run();
  std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  auto cpu = bench::cpu_now();

  std::printf(
    "{\"ok\":%llu,\"fail\":%llu,\"wall_s\":%.4f,\"cpu_user_s\":%.4f,\"cpu_sys_s\":%.4f,\"peak_rss_kb\":%ld}\n",
    static_cast<unsigned long long>(work.ok), static_cast<unsigned long long>(work.failed), wall.count(),
    cpu.user - cpu_before.user, cpu.system - cpu_before.system, bench::peak_rss_kb());
  return work.failed == 0 ? 0 : 1;
} catch (const std::exception& problem) {
  std::fprintf(stderr, "beast_client: %s\n", problem.what());
  return 2;
}
