#include <nestor/node/internal/serve_reader.hpp>

#include <nestor/sandbox/internal/settings_text.hpp>
#include <nestor/sandbox/spec_fields.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <algorithm>
#include <charconv>

namespace nestor::internal {
namespace {

constexpr std::int64_t per_tenant_most = 10'000'000;
constexpr std::int64_t connections_most = 100'000; // each is a descriptor
constexpr std::int64_t events_most = 10'000'000;   // about 250 bytes each
constexpr milliseconds request_most{3'600'000};    // an hour for one request is a mistake
constexpr milliseconds sweep_most{24 * 3'600'000}; // what leaks for longer is a bill
constexpr milliseconds ended_most{366LL * 24 * 3'600'000};
constexpr std::int64_t looks_most = 100;
constexpr std::int64_t percent_most = 100;

class serve_walk {
public:
  explicit serve_walk(std::vector<fault>& faults) : faults_(faults) {}

  void refuse(std::string path, std::string expected, const json_tree& got) {
    faults_.push_back({errc::spec_invalid, std::move(path), std::move(expected), std::string{kind_name(got)}, {}});
  }
  static const json_tree* member(const json_tree& object, std::string_view name) {
    const auto* found = object.what == json_is::object ? object.member(name) : nullptr;
    return found && found->what != json_is::null ? found : nullptr;
  }
  const json_tree* object(const json_tree& root, std::string_view name, std::initializer_list<std::string_view> known) {
    const auto* found = member(root, name);
    if (!found)
      return nullptr;
    if (found->what != json_is::object)
      return refuse(std::string{name}, "an object", *found), nullptr;
    for (const auto& m : found->members)
      if (std::ranges::find(known, std::string_view{m.name}) == known.end()) {
        std::string all = "known here:";
        for (auto each : known)
          all.append(" ").append(each);
        faults_.push_back({errc::spec_invalid, member_path(name, m.name), {}, "unknown field", std::move(all)});
      }
    return found;
  }
  void text(const json_tree& of, const std::string& path, std::string_view name, std::string& into) {
    const auto* node = member(of, name);
    if (!node)
      return;
    if (node->what != json_is::string || node->text.empty() || !obeys(text_rule::line, node->text))
      return refuse(path, "text", *node);
    into = std::string{node->text};
  }
  template <class Number>
  void whole(const json_tree& of, const std::string& path, std::string_view name, std::int64_t most, Number& into) {
    const auto* node = member(of, name);
    if (!node)
      return;
    if (node->what != json_is::integer || node->integer < 1 || node->integer > most)
      return refuse(path, "a whole number from 1 to " + std::to_string(most), *node);
    into = static_cast<Number>(node->integer);
  }
  void duration(const json_tree& of, const std::string& path, std::string_view name, milliseconds most,
                milliseconds& into) {
    const auto* node = member(of, name);
    if (!node)
      return;
    auto value = node->what == json_is::string ? parse_duration(node->text) : std::nullopt;
    if (!value || value->count() < 1 || *value > most)
      return refuse(path, "a duration such as 10s, at most " + std::to_string(most.count() / 1000) + "s", *node);
    into = *value;
  }
  void hosts(const json_tree& root, std::vector<std::string>& into) {
    const auto* list = member(root, "hosts");
    if (!list)
      return;
    if (list->what != json_is::array)
      return refuse("hosts", "a list of host names", *list);
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      const auto& each = list->items[i];
      if (each.what != json_is::string || !obeys(text_rule::host, each.text)) {
        refuse(element_path("hosts", i), "a host name without a port", each);
        continue;
      }
      std::string name{each.text};
      std::ranges::transform(name, name.begin(),
                             [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
      into.push_back(std::move(name));
    }
  }
  template <class Word>
  void choice(const json_tree& of, const std::string& path, std::string_view name,
              std::initializer_list<std::pair<std::string_view, Word>> words, Word& into) {
    const auto* node = member(of, name);
    if (!node)
      return;
    std::string all;
    for (const auto& [word, value] : words) {
      if (node->what == json_is::string && node->text == word)
        return void(into = value);
      all.append(all.empty() ? "one of " : ", ").append(word);
    }
    refuse(path, std::move(all), *node);
  }
  /// Values are references: {$literal: TEXT} where there is nothing to hide.
  void headers(const json_tree& of, std::vector<std::pair<std::string, secret_reference>>& into) {
    const auto* all = member(of, "headers");
    if (!all)
      return;
    if (all->what != json_is::object)
      return refuse("traces.headers", "an object of header names and values", *all);
    for (const auto& each : all->members) {
      auto path = member_path("traces.headers", each.name);
      if (!is_header_name(each.name))
        add(path, "no header's name", "letters, digits and '-', at most 64 of them");
      else if (!meant_as_reference(each.value))
        refuse(path, "a secret reference", each.value);
      else if (auto read = read_reference(each.value, path, false, faults_))
        into.emplace_back(std::string{each.name}, std::move(*read));
    }
  }
  static bool is_header_name(std::string_view name) {
    constexpr std::size_t name_max = 64;
    return !name.empty() && name.size() <= name_max && std::ranges::all_of(name, [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    });
  }
  void add(std::string path, std::string message, std::string advice) {
    faults_.push_back({errc::spec_invalid, std::move(path), {}, std::move(message), std::move(advice)});
  }

private:
  std::vector<fault>& faults_;
};

} // namespace

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1";
}

bool read_listen(std::string_view text, serve_config& into) {
  auto colon = text.rfind(':');
  if (colon == text.npos || colon == 0)
    return false;
  auto address = text.substr(0, colon);
  auto digits = text.substr(colon + 1);
  if (address.starts_with('[') && address.ends_with(']'))
    address = address.substr(1, address.size() - 2);
  else if (address.find(':') != address.npos)
    return false;
  bool numeric = std::ranges::all_of(address, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '.' || c == ':';
  });
  std::uint16_t port = 0;
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (!numeric || address.empty() || failed != std::errc{} || end != digits.data() + digits.size())
    return false;
  into.address = std::string{address};
  into.port = port;
  return true;
}

void read_sweep(serve_walk& walk, const json_tree& root, serve_config& into) {
  const auto* sweep = walk.object(root, "sweep", {"every", "looks", "kill_cap"});
  if (!sweep)
    return;
  walk.duration(*sweep, "sweep.every", "every", sweep_most, into.sweep_every);
  walk.whole(*sweep, "sweep.looks", "looks", looks_most, into.sweeps.looks);
  const auto* cap = serve_walk::member(*sweep, "kill_cap");
  if (!cap)
    return;
  if (cap->what != json_is::object)
    return walk.refuse("sweep.kill_cap", "an object of at_least and percent", *cap);
  for (const auto& each : cap->members)
    if (each.name != "at_least" && each.name != "percent")
      walk.add(member_path("sweep.kill_cap", each.name), "unknown field", "known here: at_least percent");
  walk.whole(*cap, "sweep.kill_cap.at_least", "at_least", per_tenant_most, into.sweeps.at_least);
  walk.whole(*cap, "sweep.kill_cap.percent", "percent", percent_most, into.sweeps.percent);
}

void read_log(serve_walk& walk, const json_tree& root, serve_config& into) {
  const auto* log = walk.object(root, "log", {"format", "level"});
  if (!log)
    return;
  walk.choice<log_format>(*log, "log.format", "format", {{"text", log_format::text}, {"json", log_format::json}},
                          into.log_as);
  walk.choice<log_level>(*log, "log.level", "level",
                         {{"debug", log_level::debug},
                          {"info", log_level::info},
                          {"warning", log_level::warning},
                          {"error", log_level::error}},
                         into.log_from);
}

/// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is whole, OTEL_EXPORTER_OTLP_ENDPOINT the beginning of one.
void read_traces(serve_walk& walk, const json_tree& root, const environment_lookup& environment, serve_config& into) {
  std::string endpoint, where = "traces.endpoint";
  traces_config read;
  const auto* traces = walk.object(root, "traces", {"endpoint", "headers"});
  if (traces) {
    walk.text(*traces, where, "endpoint", endpoint);
    walk.headers(*traces, read.headers);
  }
  if (endpoint.empty()) {
    if (auto whole = environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
      endpoint = *whole, where = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    else if (auto base = environment("OTEL_EXPORTER_OTLP_ENDPOINT"))
      endpoint = *base + (base->ends_with('/') ? "v1/traces" : "/v1/traces"), where = "OTEL_EXPORTER_OTLP_ENDPOINT";
  }
  if (endpoint.empty()) {
    if (traces)
      walk.add("traces", "no endpoint", "name traces.endpoint, such as http://127.0.0.1:4318/v1/traces");
    return;
  }
  auto collector = http::parse_url(endpoint);
  if (!collector)
    return walk.add(where, "no http or https URL", "write it as http://127.0.0.1:4318/v1/traces");
  read.collector = std::move(*collector);
  into.traces = std::move(read);
}

void read_serve(const json_tree& root, const environment_lookup& environment, serve_config& into,
                std::vector<fault>& faults) {
  serve_walk walk{faults};
  walk.text(root, "state", "state", into.state);
  std::string listen;
  walk.text(root, "listen", "listen", listen);
  std::string where = "listen";
  if (auto said = environment("NESTOR_LISTEN"))
    listen = *said, where = "NESTOR_LISTEN";
  if (!listen.empty() && !read_listen(listen, into))
    walk.add(where, "no numeric address and port", "write it as 127.0.0.1:7077 or [::1]:7077");
  if (auto said = environment("NESTOR_STATE"))
    into.state = *said;
  walk.hosts(root, into.hosts);
  if (const auto* tls = walk.object(root, "tls", {"certificate", "key"})) {
    walk.text(*tls, "tls.certificate", "certificate", into.certificate);
    walk.text(*tls, "tls.key", "key", into.key);
    if (into.certificate.empty() != into.key.empty())
      walk.add("tls", "one of certificate and key", "name both PEM files");
  }
  if (!is_loopback(into.address) && into.certificate.empty())
    walk.add(where, "an address that others reach, without TLS", "name tls.certificate and tls.key");
  if (const auto* kept = walk.object(root, "retention", {"events", "ended"})) {
    walk.whole(*kept, "retention.events", "events", events_most, into.events_kept);
    walk.duration(*kept, "retention.ended", "ended", ended_most, into.ended_for);
  }
  read_sweep(walk, root, into);
  read_log(walk, root, into);
  read_traces(walk, root, environment, into);
  if (const auto* limits = serve_walk::member(root, "limits")) {
    walk.whole(*limits, "limits.per_tenant", "per_tenant", per_tenant_most, into.per_tenant_max);
    walk.whole(*limits, "limits.connections", "connections", connections_most, into.connections_max);
  }
  if (const auto* http = walk.object(root, "http", {"head_within", "body_within", "idle_within", "write_within"})) {
    walk.duration(*http, "http.head_within", "head_within", request_most, into.head_within);
    walk.duration(*http, "http.body_within", "body_within", request_most, into.body_within);
    walk.duration(*http, "http.idle_within", "idle_within", request_most, into.idle_within);
    walk.duration(*http, "http.write_within", "write_within", request_most, into.write_within);
  }
}

} // namespace nestor::internal

namespace nestor {

bool set_listen(std::string_view text, serve_config& into) {
  auto said = into;
  if (!internal::read_listen(text, said) || (!internal::is_loopback(said.address) && said.certificate.empty()))
    return false;
  into = std::move(said);
  return true;
}

} // namespace nestor
