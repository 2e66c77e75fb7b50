#include "spec_file.hpp"

#include "terminal.hpp"

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

std::optional<node_config> load_config(const std::string& file) {
  auto from = file.empty() ? to_document("the environment", "{}") : read_document(file);
  if (!from) {
    complain(from.error().cause);
    return std::nullopt;
  }
  auto config = read_node_config(from->json, [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>{value};
  });
  complain(*from, config.faults);
  return std::move(config.value);
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
