#include <nestor/node/node_config.hpp>

#include <nestor/http/url.hpp>
#include <nestor/node/internal/config_walk.hpp>

#include <algorithm>
#include <charconv>

namespace nestor {
namespace {

using namespace internal;

constexpr std::string_view journal_expected =
  "sqlite:// and the path of a file, such as sqlite:///var/lib/nestor/journal.db, or postgresql://USER@HOST/DATABASE";

/// 127.0.0.0/8 and ::1.
bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1";
}

/// "127.0.0.1:7077", "[::1]:0". False when it is none.
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

/// What the values must be together, now that all are known.
class conclusion {
public:
  conclusion(config_draft& d, const environment_lookup& environment, std::vector<fault>& faults)
      : draft_(d), environment_(environment), faults_(faults) {}

  void draw() {
    journal();
    listening();
    traces();
  }

private:
  void add(std::string path, std::string message, std::string advice) {
    faults_.push_back({errc::spec_invalid, std::move(path), {}, std::move(message), std::move(advice)});
  }
  /// As a fault names it: the variable that said it, else the field.
  std::string place_of(const std::string& path) const {
    auto told = std::ranges::find(draft_.config.told, path, &told_field::path);
    return told == draft_.config.told.end() || told->from.empty() ? path : told->from;
  }

  void journal() {
    const auto& at = draft_.config.journal;
    auto begins = [&](std::string_view scheme) { return at.starts_with(scheme) && at.size() > scheme.size(); };
    if (at.empty() || begins(journal_scheme))
      return;
    if (!begins(postgresql_scheme))
      faults_.push_back({errc::spec_invalid, place_of("journal"), std::string{journal_expected}, "another text", {}});
    for (auto& each : draft_.config.told) // may hold a password in its first part and among its options
      if (each.path == "journal")
        each.value = std::string{postgresql_scheme} + "…";
  }

  void listening() {
    auto& serve = draft_.config.serve;
    auto where = place_of("listen");
    if (!draft_.listen.empty() && !read_listen(draft_.listen, serve))
      add(where, "no numeric address and port", "write it as 127.0.0.1:7077 or [::1]:7077");
    if (serve.certificate.empty() != serve.key.empty())
      add("tls", "one of certificate and key", "name both PEM files");
    if (!is_loopback(serve.address) && serve.certificate.empty())
      add(where, "an address that others reach, without TLS", "name tls.certificate and tls.key");
  }

  /// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is whole, OTEL_EXPORTER_OTLP_ENDPOINT the beginning of one.
  void traces() {
    auto& endpoint = draft_.endpoint;
    auto where = place_of("traces.endpoint");
    if (endpoint.empty()) {
      if (auto whole = environment_("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        endpoint = *whole, where = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
      else if (auto base = environment_("OTEL_EXPORTER_OTLP_ENDPOINT"))
        endpoint = *base + (base->ends_with('/') ? "v1/traces" : "/v1/traces"), where = "OTEL_EXPORTER_OTLP_ENDPOINT";
      if (!endpoint.empty())
        draft_.config.told.push_back({"traces.endpoint", "traces.endpoint", endpoint, where});
    }
    if (endpoint.empty()) {
      if (draft_.traces_said)
        add("traces", "no endpoint", "name traces.endpoint, such as http://127.0.0.1:4318/v1/traces");
      return;
    }
    auto collector = http::parse_url(endpoint);
    if (!collector)
      return add(where, "no http or https URL", "write it as http://127.0.0.1:4318/v1/traces");
    draft_.traces.collector = std::move(*collector);
    draft_.config.serve.traces = std::move(draft_.traces);
  }

  config_draft& draft_;
  const environment_lookup& environment_;
  std::vector<fault>& faults_;
};

} // namespace

checked<node_config> read_node_config(std::string_view json, const environment_lookup& environment) {
  auto tree = read_tree(json);
  if (!tree)
    return {std::nullopt, std::move(tree.faults)};
  config_draft draft;
  std::vector<fault> faults;
  config_walk walk{draft, environment, faults};
  walk.document(*tree);
  walk.implied_accounts();
  conclusion{draft, environment, faults}.draw();
  if (!faults.empty())
    return {std::nullopt, std::move(faults)};
  draft.config.accounts = std::make_shared<const providers::account_book>(std::move(draft.accounts));
  return {std::move(draft.config), {}};
}

bool set_listen(std::string_view text, serve_config& into) {
  auto said = into;
  if (!read_listen(text, said) || (!is_loopback(said.address) && said.certificate.empty()))
    return false;
  into = std::move(said);
  return true;
}

} // namespace nestor
