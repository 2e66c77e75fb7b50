// The sealed texts of a journal's database, whatever record they are of: found, counted by their key and put back, for
// the rotation of keys. Within the caller's transaction; throws what SOCI throws.
#pragma once

#include <nestor/io/internal/journal_sql.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace nestor::io::internal {

struct sealed_row {
  std::string kind; ///< as its identity has it: actual, wanted, closed
  std::uint64_t number = 0;
  std::string body;
};

/// Of one sandbox: all that it has.
std::vector<sealed_row> sealed_rows(const journal_sql::sandbox_row& of);
void put_back(connection& db, const std::string& sandbox, const sealed_row& row);
/// How many texts of all sandboxes begin so.
std::uint64_t sealed_so(connection& db, const std::string& beginning);

} // namespace nestor::io::internal
