// The journal's statements, prepared once and executed with what the members hold. Standard SQL that SQLite and
// PostgreSQL both understand. Knows texts and numbers: no record, no key.
#pragma once

#include <soci/soci.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nestor::io::internal {

using connection = soci::session;

/// Version of the schema that this build makes and understands.
inline constexpr long long schema_version = 2;

class journal_sql {
public:
  struct sandbox_row {
    bool unwanted = false;
    std::optional<std::string> closed;
  };
  struct numbered {
    long long number = 0;
    std::string body;
  };

  /// The schema must be there. Everything here throws what SOCI throws.
  explicit journal_sql(connection& db);

  bool write(const std::string& id, long long epoch, long long revision, std::string body);
  bool know(const std::string& id);
  bool want(const std::string& id, long long number, std::string body, long long oldest_kept);
  bool unwant(const std::string& id);
  void close(const std::string& id, long long ended_ms, std::string body);
  void forget(const std::string& id);
  std::optional<std::string> wanted_of(const std::string& id, long long number);
  std::optional<sandbox_row> sandbox_of(const std::string& id);
  std::optional<numbered> actual_of(const std::string& id);
  std::vector<numbered> all_wanted_of(const std::string& id);
  std::vector<std::string> ids_after(const std::string& id, long long most);

private:
  bool changed(soci::statement& with);

  std::string id_, body_, got_;
  long long epoch_ = 0, number_ = 0, got_number_ = 0;
  int flag_ = 0;
  soci::indicator is_null_ = soci::i_ok;
  soci::statement write_, know_, want_, prune_, unwant_, close_, drop_actual_, drop_wanted_, drop_sandbox_;
  soci::statement wanted_, sandbox_, actual_, all_wanted_, ids_;
};

/// Makes or updates the schema, within the caller's transaction. Gives the version that was there: 0 for none.
long long migrate(connection& db);

std::optional<std::string> noted(connection& db, const std::string& name);
void note_down(connection& db, const std::string& name, const std::string& value);

} // namespace nestor::io::internal
