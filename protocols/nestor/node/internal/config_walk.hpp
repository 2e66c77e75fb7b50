// Walks the document of a node's configuration along its table. Only this folder's readers include it.
#pragma once

#include <nestor/node/internal/config_draft.hpp>
#include <nestor/sandbox/spec_fields.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::internal {

/// `{$env: NAME}`; of a literal never its text.
std::string shown_reference(const secret_reference& from);

class config_walk {
public:
  config_walk(config_draft& draft, const environment_lookup& environment, std::vector<fault>& faults)
      : draft_(draft), environment_(environment), faults_(faults) {}

  /// The whole document, then the variables that win over it.
  void document(const json_tree& root);

  void refuse(std::string path, std::string expected, std::string_view got, std::string advice = {});
  /// nullptr when `object` does not say it: null is as good as nothing.
  static const json_tree* member(const json_tree& object, std::string_view name);
  /// A text that is not empty and obeys; nothing, and a fault.
  bool text(const field_type& type, const json_tree& node, const std::string& path, std::string& into);
  /// The members of one object against the table; `others` are known besides and not read here.
  void object(const json_tree& node, const std::string& path, std::string_view table_path,
              std::span<const std::string_view> others = {});
  /// One account's own fields, then what it follows from.
  void accounts(const json_tree& all);
  /// Kinds that nobody named, but whose tools' variables are set.
  void implied_accounts();

private:
  void value(const spec_field& field, const json_tree& node, const std::string& path, std::string_view name);
  void list(const spec_field& field, const json_tree& node, const std::string& path, taken& v);
  void map(const spec_field& field, const json_tree& node, const std::string& path);
  bool variable(const spec_field& field);
  void take(const spec_field& field, const std::string& path, taken&& v, std::string shown, std::string from);

  const providers::provider* kind_of(const std::string& name, const json_tree& node, const std::string& path);
  void account(const std::string& name, const json_tree& node, const std::string& path);
  void account_field(const providers::account_field& field, const json_tree* node, const std::string& path,
                     providers::account_source& into);
  void finish(providers::account_source& of, const std::string& path);

  config_draft& draft_;
  const environment_lookup& environment_;
  std::vector<fault>& faults_;
};

} // namespace nestor::internal
