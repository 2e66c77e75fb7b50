// The journal's statements, prepared once and executed with what the members hold. Standard SQL that SQLite and
// PostgreSQL both understand. Knows texts and numbers: no record, no key.
#pragma once

#include <soci/soci.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::io::internal {

using connection = soci::session;

/// Version of the schema that this build makes and understands.
inline constexpr long long schema_version = 2;

/// All that differs between the databases. Ids are compared by their bytes in both.
struct sql_dialect {
  const char* id_type;                       ///< takes the place of `varchar(40)` in the schema
  std::span<const char* const> after_schema; ///< how its tables are kept
  const char* write;                         ///< upserts into `actual`
  bool writes_many; ///< … all rows of a batch by one statement, which returns those it stored
};
extern const sql_dialect sqlite_dialect;
extern const sql_dialect postgresql_dialect;

class journal_sql {
public:
  struct numbered {
    long long number = 0;
    std::string body;
  };
  struct sandbox_row {
    std::string id;
    bool unwanted = false;
    std::optional<std::string> closed;
    std::optional<numbered> actual;
    std::vector<numbered> wanted; ///< oldest first
  };
  /// One sandbox's new `actual` record, and whether it was stored: not when something as new is there.
  struct written {
    std::string_view id;
    long long revision = 0;
    std::string_view body;
    bool stored = false;
  };

  /// The schema must be there. Everything here throws what SOCI throws.
  journal_sql(connection& db, const sql_dialect& dialect);

  /// Rows of different sandboxes.
  void write(long long epoch, std::span<written> rows);
  bool know(const std::string& id);
  bool want(const std::string& id, long long number, std::string body, long long oldest_kept);
  bool unwant(const std::string& id);
  void close(const std::string& id, long long ended_ms, std::string body);
  void forget(const std::string& id);
  std::optional<std::string> wanted_of(const std::string& id, long long number);
  /// The body of its `actual` record.
  std::optional<std::string> actual_of(const std::string& id);
  std::optional<sandbox_row> sandbox_of(const std::string& id);
  /// The next `most`, ordered by id, after that one.
  std::vector<sandbox_row> sandboxes_after(const std::string& id, long long most);

private:
  bool changed(soci::statement& with);
  std::optional<std::string> only_row(soci::statement& with);
  std::vector<sandbox_row> all_of(soci::statement& with);
  soci::statement prepared_write(connection& db);
  void write_many(std::span<written> rows);

  const sql_dialect& dialect_;
  std::string id_, last_, body_, got_, got_id_, got_actual_;
  std::string ids_text_, revisions_text_, bodies_text_; // arrays, for a dialect that writes many
  long long epoch_ = 0, number_ = 0, got_number_ = 0;
  int flag_ = 0;
  soci::indicator no_closed_ = soci::i_ok, no_number_ = soci::i_ok, no_actual_ = soci::i_ok;
  soci::statement write_, know_, want_, prune_, unwant_, close_, drop_actual_, drop_wanted_, drop_sandbox_;
  soci::statement wanted_, actual_, sandbox_, sandboxes_, all_wanted_;
};

/// Makes or updates the schema, within the caller's transaction. Gives the version that was there: 0 for none.
long long migrate(connection& db, const sql_dialect& dialect);

std::optional<std::string> noted(connection& db, const std::string& name);
void note_down(connection& db, const std::string& name, const std::string& value);

} // namespace nestor::io::internal
