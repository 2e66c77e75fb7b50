// A node's configuration while it is being read, and where each field's value goes once it is known to be of the right
// type. Knows no document; config_fields.def connects it to the fields.
#pragma once

#include <nestor/node/node_config.hpp>
#include <nestor/sandbox/internal/field_value.hpp>

#include <string>

namespace nestor::internal {

struct config_draft {
  node_config config;
  std::string listen;
  bool traces_said = false;
  std::string endpoint; ///< of `traces`
  traces_config traces;
  providers::account_book accounts = *providers::built_in_accounts();
  providers::account_source* account = nullptr; ///< the one being read
};

using config_taker = void (*)(config_draft&, taken&&);

/// Of the field in row `row` of `config_fields()`.
config_taker config_taker_of(std::size_t row);

} // namespace nestor::internal
