// The node's configuration: a document, and the environment that providers' own tools read, turned into accounts and
// limits. Every fault is listed with its place. Reads JSON text (YAML is turned into it at the edge); secrets stay
// references. The fields are in config_fields.def, those of an account in its kind's own table: nothing here knows one.
#pragma once

#include <nestor/journal/address.hpp>
#include <nestor/node/serve_config.hpp>
#include <nestor/providers/account_book.hpp>
#include <nestor/sandbox/fault.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nestor {

/// What was said, by the document or a variable: not what is by default.
struct told_field {
  std::string_view field; ///< of config_fields.def; of a kind's own field "providers.*"
  std::string path;       ///< "limits.per_tenant", "providers.e2b.api_key"
  std::string value;      ///< as a document writes it; of a secret its reference, of an address no password
  std::string from;       ///< the variable; empty: the document
};

struct node_config {
  std::string journal;   ///< address of one, journal/address.hpp; may hold a password; empty: not said
  std::string keys_file; ///< key ring of what is sealed at rest; empty: not said
  std::shared_ptr<const providers::account_book> accounts = providers::built_in_accounts();
  std::vector<std::string> addresses_allow;   ///< ranges that runtimes may be reached in besides public ones
  std::vector<std::string> addresses_deny;    ///< ranges that nothing is connected to
  std::map<std::string, std::string> resolve; ///< name or *.name → address
  std::string ca_file;                        ///< PEM, trusted for every host besides the system's
  std::optional<std::size_t> sandboxes_max;
  serve_config serve;
  std::vector<told_field> told; ///< each path once
};

/// A variable's value; nothing when it is not set or empty.
using environment_lookup = std::function<std::optional<std::string>(const std::string& name)>;

/// "127.0.0.1:7077", "[::1]:0". False when it is none, or reaches beyond loopback without a certificate.
bool set_listen(std::string_view text, serve_config& into);

/// `json`: the document; "{}" for none. Variables win over it (`variable_of` in config_fields.hpp). An account that is
/// named like its kind takes what the document leaves open from the variables of the kind's own tools, and exists
/// without being named when one of them is set.
checked<node_config> read_node_config(std::string_view json, const environment_lookup& environment);

} // namespace nestor
