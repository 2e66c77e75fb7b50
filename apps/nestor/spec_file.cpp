#include "spec_file.hpp"

#include "terminal.hpp"

#include <nestor/io/address_rules.hpp>
#include <nestor/sandbox/spec_fields.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace nestor::cli {
namespace {

void complain(const std::string& text) {
  std::cerr << "nestor: " << printable(text) << '\n';
}

void complain(const document& from, const std::vector<fault>& faults) {
  for (const auto& f : faults)
    complain(located(from, f));
}

std::vector<fault> ranges_that_are_none(const node_config& config) {
  std::vector<fault> faults;
  auto look = [&](const std::string& field, const std::vector<std::string>& ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i)
      if (!io::parse_range(ranges[i]))
        faults.push_back({errc::spec_invalid, element_path(field, i), "a range of addresses such as 10.0.0.0/8",
                          "another text", "bits beyond the prefix are 0"});
  };
  look("addresses.allow", config.addresses_allow);
  look("addresses.deny", config.addresses_deny);
  return faults;
}

failure missing(std::string cause) {
  return {errc::secret_unresolved, step::queue, std::move(cause), 0, {}};
}

expected<secret> read_secret_file(const std::string& name) {
  std::error_code ignored;
  if (std::filesystem::is_directory(name, ignored))
    return missing("the file " + name + " is a folder");
  errno = 0;
  std::ifstream in{name, std::ios::binary};
  if (!in)
    return missing("the file " + name + " cannot be read: " + (errno == 0 ? "no reason given" : std::strerror(errno)));
  std::string text(secret_bytes_max + 2, '\0'); // room for the line break, and for one too many
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.ends_with('\n'))
    text.pop_back();
  if (text.ends_with('\r'))
    text.pop_back();
  return secret{std::move(text)};
}

} // namespace

std::optional<spec_file> load_spec(const std::string& file, bool bench,
                                   std::shared_ptr<const providers::account_book> accounts) {
  auto from = read_document(file);
  if (!from) {
    complain(from.error().cause);
    return std::nullopt;
  }
  reading how;
  how.bench = bench;
  how.provider_named = [accounts = std::move(accounts)](std::string_view name) {
    const auto* account = providers::account_named(*accounts, name);
    return account ? account->plain.speaks : nullptr;
  };
  auto source = read_spec(from->json, how);
  wipe(from->json.data(), from->json.size());
  from->json.clear();
  if (!source) {
    complain(*from, source.faults);
    return std::nullopt;
  }
  return spec_file{std::move(*from), std::move(*source)};
}

std::optional<config_file> read_config(const std::string& file) {
  auto from = file.empty() ? to_document("the environment", "{}") : read_document(file);
  if (!from) {
    complain(from.error().cause);
    return std::nullopt;
  }
  auto config = read_node_config(from->json, [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>{value};
  });
  wipe(from->json.data(), from->json.size());
  from->json.clear();
  if (config)
    config.faults = ranges_that_are_none(*config);
  complain(*from, config.faults);
  if (!config.faults.empty())
    return std::nullopt;
  return config_file{std::move(*from), std::move(*config)};
}

std::optional<node_config> load_config(const std::string& file) {
  auto read = read_config(file);
  return read ? std::optional{std::move(read->config)} : std::nullopt;
}

bool flags_fit(const serve_options& o, node_config& into) {
  if (!o.state.empty())
    into.serve.state = o.state;
  if (o.listen.empty() || set_listen(o.listen, into.serve))
    return true;
  complain("--listen: expected a numeric address and a port such as 127.0.0.1:7077; beyond loopback with `tls` "
           "configured");
  return false;
}

std::optional<sandbox_spec> resolve_here(const spec_file& file) {
  auto spec = resolve(file.source, look_up_here);
  complain(file.from, spec.faults);
  return std::move(spec.value);
}

std::optional<spec_template> template_here(const spec_file& file) {
  auto made = spec_template::of(file.source, look_up_here);
  complain(file.from, made.faults);
  return std::move(made.value);
}

expected<secret> look_up_here(reference_kind kind, const std::string& name) {
  if (kind == reference_kind::file)
    return read_secret_file(name);
  const char* value = std::getenv(name.c_str());
  if (value == nullptr)
    return missing("the environment variable " + name + " is not set");
  return secret::copy_of(value);
}

} // namespace nestor::cli
