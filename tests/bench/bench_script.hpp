// What the reference clients do per sandbox, read from a text file. A line is one request:
//
//   METHOD TARGET STATUS [JSON body]        # STATUS: what the answer must have
//   header NAME VALUE                       # sent with every request
//
// TARGET, VALUE and the body's strings, like the origin URL, may hold `{index}`, `{index:08}` (zero-padded) and sums
// like `{11000+index%64}`, so that each sandbox can have its own server, state and key.
#pragma once

#include <charconv>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/resource.h>

namespace bench {

struct request_line {
  std::string method, target, body;
  int status = 200;
};

struct script {
  std::vector<request_line> requests;
  std::vector<std::pair<std::string, std::string>> headers;
};

inline script read_script(const std::string& path) {
  std::ifstream file{path};
  if (!file)
    throw std::runtime_error("cannot read " + path);
  script result;
  for (std::string line; std::getline(file, line);) {
    auto word = [&] {
      auto end = line.find(' ');
      auto taken = line.substr(0, end);
      line.erase(0, end == std::string::npos ? end : end + 1);
      return taken;
    };
    if (line.empty() || line.front() == '#')
      continue;
    auto first = word();
    if (first == "header") {
      auto name = word();
      result.headers.emplace_back(name, line);
      continue;
    }
    request_line request;
    request.method = first;
    request.target = word();
    request.status = std::stoi(word());
    request.body = line;
    result.requests.push_back(std::move(request));
  }
  return result;
}

inline bool has_index(std::string_view text) {
  return text.find("index") != std::string_view::npos;
}

/// Replaces every `{[A+]index[%M][:0W]}`. Other braces stay.
inline std::string expand(std::string_view text, std::uint64_t index) {
  std::string out;
  while (!text.empty()) {
    auto open = text.find('{');
    auto close = open == std::string_view::npos ? open : text.find('}', open);
    auto inside = close == std::string_view::npos ? std::string_view{} : text.substr(open + 1, close - open - 1);
    auto at = inside.find("index");
    if (close == std::string_view::npos || at == std::string_view::npos || inside.find_first_of("{\"") != inside.npos) {
      auto end = open == std::string_view::npos ? text.size() : open + 1;
      out += text.substr(0, end);
      text.remove_prefix(end);
      continue;
    }
    std::uint64_t sum = 0, modulus = 0, width = 0;
    std::from_chars(inside.data(), inside.data() + at, sum);
    auto rest = inside.substr(at + 5);
    if (rest.starts_with('%'))
      std::from_chars(rest.data() + 1, rest.data() + rest.size(), modulus);
    if (auto colon = rest.find(':'); colon != std::string_view::npos)
      std::from_chars(rest.data() + colon + 1, rest.data() + rest.size(), width);
    auto digits = std::to_string(sum + (modulus != 0 ? index % modulus : index));
    out += text.substr(0, open);
    out.append(digits.size() < width ? width - digits.size() : 0, '0');
    out += digits;
    text.remove_prefix(close + 1);
  }
  return out;
}

/// `http://HOST:PORT[/PATH]` in parts.
struct origin {
  std::string host, port, path;
};
inline origin parse_origin(std::string_view url) {
  constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme))
    throw std::runtime_error("the origin must be an http:// URL");
  url.remove_prefix(scheme.size());
  auto slash = url.find('/');
  auto authority = url.substr(0, slash);
  auto colon = authority.rfind(':');
  return {std::string{authority.substr(0, colon)},
          colon == std::string_view::npos ? "80" : std::string{authority.substr(colon + 1)},
          slash == std::string_view::npos ? "" : std::string{url.substr(slash)}};
}

struct options {
  std::string origin = "http://127.0.0.1:8080", script;
  std::uint64_t count = 1'000;
  std::size_t concurrency = 64;
};

inline options parse_options(int argc, char** argv) {
  options result;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string_view name = argv[i];
    if (name == "--origin")
      result.origin = argv[i + 1];
    else if (name == "--script")
      result.script = argv[i + 1];
    else if (name == "--count")
      result.count = std::stoull(argv[i + 1]);
    else if (name == "--concurrency")
      result.concurrency = std::stoull(argv[i + 1]);
    else
      throw std::runtime_error("unknown option " + std::string{name});
  }
  if (result.script.empty())
    throw std::runtime_error("usage: --script FILE [--origin URL] [--count N] [--concurrency C]");
  return result;
}

struct cpu_seconds {
  double user = 0, system = 0;
};
inline cpu_seconds cpu_now() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return {seconds(usage.ru_utime), seconds(usage.ru_stime)};
}
inline long peak_rss_kb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

} // namespace bench
