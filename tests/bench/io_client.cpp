// The product's own HTTP client doing what beast_client does, without actors, JSON library or supervision: what the io
// layer alone costs. Same options, same output.
#include "bench_script.hpp"

#include <nestor/io/clock.hpp>
#include <nestor/io/http_client.hpp>

#include <boost/asio/io_context.hpp>

#include <cstdio>
#include <exception>

namespace {

struct campaign {
  bench::options options;
  bench::script script;
  nestor::io::http_client* client = nullptr;
  boost::asio::io_context* context = nullptr;
  std::uint64_t next = 0, ok = 0, failed = 0;

  void begin() {
    if (next < options.count)
      step(next++, 0);
    else if (ok + failed == options.count)
      context->stop();
  }

  void step(std::uint64_t index, std::size_t number) {
    if (number == script.requests.size()) {
      ++ok;
      return begin();
    }
    const auto& line = script.requests[number];
    auto where = bench::parse_origin(bench::expand(options.origin, index));
    nestor::http_call call;
    call.to = {false, where.host, static_cast<std::uint16_t>(std::stoi(where.port)), ""};
    call.from = nestor::address_source::node;
    call.timeout = nestor::milliseconds{30'000};
    call.request.verb = nestor::http::method_named(line.method).value();
    call.request.target = where.path + bench::expand(line.target, index);
    call.request.body = bench::expand(line.body, index);
    for (const auto& [name, value] : script.headers)
      call.request.headers.push_back({name, nestor::wiped_string{bench::expand(value, index)}});
    client->call(std::move(call), [this, index, number](nestor::http_reply reply) {
      const auto* response = std::get_if<nestor::http::response>(&reply);
      if (response != nullptr && response->status == script.requests[number].status)
        return step(index, number + 1);
      ++failed;
      begin();
    });
  }
};

} // namespace

int main(int argc, char** argv) try {
  campaign work;
  work.options = bench::parse_options(argc, argv);
  work.script = bench::read_script(work.options.script);
  boost::asio::io_context context{1};
  nestor::io::http_client_options options;
  options.connections = work.options.concurrency;
  nestor::io::http_client client{context, options};
  work.client = &client;
  work.context = &context;
  auto cpu_before = bench::cpu_now();
  auto begin = nestor::io::steady_now();
  for (std::size_t i = 0; i < std::min<std::uint64_t>(work.options.concurrency, work.options.count); ++i)
    work.begin();
  context.run();
  auto wall = nestor::io::steady_now() - begin;
  auto cpu = bench::cpu_now();
  std::printf(
    "{\"ok\":%llu,\"fail\":%llu,\"wall_s\":%.4f,\"cpu_user_s\":%.4f,\"cpu_sys_s\":%.4f,\"peak_rss_kb\":%ld}\n",
    static_cast<unsigned long long>(work.ok), static_cast<unsigned long long>(work.failed),
    static_cast<double>(wall.count()) * 1e-6, cpu.user - cpu_before.user, cpu.system - cpu_before.system,
    bench::peak_rss_kb());
  return work.failed == 0 ? 0 : 1;
} catch (const std::exception& problem) {
  std::fprintf(stderr, "io_client: %s\n", problem.what());
  return 2;
}
