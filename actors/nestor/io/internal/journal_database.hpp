// The database that holds a journal: how it is opened so that it is ours alone and durable, what its errors mean, and
// whether its connection is lost. One class for each of the two that can; their statements are the same but for the
// few in `sql_dialect`.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/io/internal/journal_sql.hpp>

#include <soci/soci.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace nestor::io::internal {

/// The predecessor's lock goes with its process; a backup that reads holds it for moments.
inline constexpr std::chrono::seconds lock_wait{2};

/// Thrown where what went wrong has a name of ours.
struct refusal {
  failure why;
};

inline failure failed(errc code, std::string cause) {
  return failure{code, step::queue, std::move(cause), 0, {}};
}

template <class T>
T need(expected<T> got) {
  if (!got)
    throw refusal{got.error()};
  return std::move(*got);
}

class journal_database {
public:
  virtual ~journal_database() = default;
  journal_database(const journal_database&) = delete;
  journal_database& operator=(const journal_database&) = delete;

  /// Opens it, locks it, makes commits durable. Again after it was lost: statements that were prepared are gone then.
  /// Throws `refusal` and what SOCI throws.
  virtual void connect() = 0;
  /// Nothing more will come over this connection, and what was under way may be committed or not.
  [[nodiscard]] virtual bool lost() = 0;
  /// In words of ours, with no value and no password in it.
  [[nodiscard]] virtual failure why_of(const soci::soci_error& e) const = 0;
  [[nodiscard]] virtual const sql_dialect& dialect() const = 0;
  /// What errors call it.
  [[nodiscard]] virtual const std::string& name() const = 0;

  /// The file that it is in; empty: a server's.
  [[nodiscard]] virtual std::string file() const { return {}; }
  /// What stays the same for as long as a server goes on from its own state, and changes when it is another server or
  /// was taken back to an earlier time; empty: not known.
  [[nodiscard]] virtual std::string lineage() const { return {}; }

  connection db;

protected:
  journal_database() = default;
};

/// `where`: the path of a file, or an address that starts with `postgresql://`. Throws `refusal`.
std::unique_ptr<journal_database> journal_database_at(const std::string& where);

std::unique_ptr<journal_database> sqlite_database_at(const std::string& path);
std::unique_ptr<journal_database> postgresql_database_at(const std::string& address);

} // namespace nestor::io::internal
