// A file on its way to a specification or a node's configuration: read, checked, secrets looked up here. Every fault
// goes to standard error as "nestor: FILE:LINE:COLUMN: PATH: message"; nothing else happens before all is well.
#pragma once

#include "document.hpp"

#include "verbs.hpp"

#include <nestor/node/node_config.hpp>
#include <nestor/sandbox/spec_reader.hpp>
#include <nestor/sandbox/spec_template.hpp>

#include <optional>
#include <string>

namespace nestor::cli {

struct spec_file {
  document from; ///< its text is wiped; its places remain
  spec_source source;
};

/// `provider` may name one of `accounts`. Nothing when there were faults (exit code `usage`).
std::optional<spec_file> load_spec(const std::string& file, bool bench,
                                   std::shared_ptr<const providers::account_book> accounts);

struct config_file {
  document from; ///< its text is wiped; its places remain
  node_config config;
};

/// The node's configuration: `file`, or none when it is empty; and the environment. Nothing when there were faults.
std::optional<config_file> read_config(const std::string& file);
std::optional<node_config> load_config(const std::string& file);

/// Takes serve's flags, which win over everything. False when one does not fit, which is said.
bool flags_fit(const serve_options& o, node_config& into);

/// Looks the references up. Nothing when there were faults.
std::optional<sandbox_spec> resolve_here(const spec_file& file);
std::optional<spec_template> template_here(const spec_file& file);

/// $env: the environment of this process. $file: a file, relative paths from the working folder, at most 64 KiB, one
/// line break at its end removed (editors and `echo` put it there).
expected<secret> look_up_here(reference_kind kind, const std::string& name);

} // namespace nestor::cli
