// What the journal costs beside the database alone: the same rows, sealed before, in the same commits at the same sync
// level, through the database's own C API. The two take turns, so that whatever else the machine does meets both, and
// the middle one of many shares counts.
#include "journal/journal_folder.hpp"
#include "journal/postgres_server.hpp"
#include "support/random_records.hpp"

#include <nestor/io/key_file.hpp>
#include <nestor/journal/codec.hpp>
#include <nestor/journal/sealing.hpp>

#include <catch2/catch.hpp>

#include <libpq-fe.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

namespace nestor::tests {
namespace {

constexpr std::size_t group = 500;          // records of one commit
constexpr std::size_t groups_of_a_turn = 4; // each takes milliseconds: a turn is short beside what disturbs it
constexpr std::size_t sandboxes = 5'000;
// Of the database's own speed, with everything: encoding, sealing, statements through SOCI. The goal is for a machine
// whose disk is what commits wait for; where processors are short, both wait for those, and encoding and sealing weigh
// more.
constexpr double share_at_rest = 0.7;
constexpr double share_anywhere = 0.3;
constexpr std::size_t single_commits = 200; // whose times are percentiles

double seconds_of(const std::function<void()>& work) {
  auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

/// A record as `process` sandboxes have it while they live.
journal::actual_record usual_record(random_records& random, const sandbox_id& id, std::uint64_t revision) {
  auto record = random.actual(id, revision);
  auto runtime = std::make_shared<providers::runtime>();
  runtime->ref = "pid-12345";
  runtime->where = {false, "127.0.0.1", 34'567, "", ""};
  runtime->session_key = secret::copy_of(std::string(43, 'k'));
  runtime->process = process_ref{12'345, 987'654, "0f3c2a1e-0000-4000-8000-000000000000"};
  auto holds = std::make_shared<nested::delivery>();
  holds->settings = random.digest();
  holds->git_providers = {{"github", random.digest()}, {"gitlab", random.digest()}};
  holds->secrets = {{"API_TOKEN", random.digest()}};
  holds->settings_members = {"llm_api_key", "llm_model"};
  record.runtime = runtime;
  record.holds = holds;
  record.dialect = "openhands";
  record.kept.why = nullptr;
  return record;
}

/// Upserts of bodies that are ready.
class raw_database {
public:
  virtual ~raw_database() = default;
  /// One commit: rows `first` … `first + group` of `ids`, in a ring.
  virtual void commit(const std::vector<std::string>& ids, std::size_t first, long long revision,
                      const std::string& body) = 0;
};

class raw_sqlite final : public raw_database {
public:
  explicit raw_sqlite(const std::string& file) {
    REQUIRE(sqlite3_open(file.c_str(), &db_) == SQLITE_OK);
    run("pragma locking_mode=exclusive; pragma journal_mode=wal; pragma synchronous=full;"
        "create table actual (sandbox text primary key, revision integer not null, body text not null)");
    sqlite3_prepare_v2(db_,
                       "insert into actual values (?, ?, ?) on conflict (sandbox) do update set"
                       " revision = excluded.revision, body = excluded.body where excluded.revision > actual.revision",
                       -1, &put_, nullptr);
  }
  ~raw_sqlite() override {
    sqlite3_finalize(put_);
    sqlite3_close(db_);
  }
  void commit(const std::vector<std::string>& ids, std::size_t first, long long revision,
              const std::string& body) override {
    run("begin");
    for (std::size_t i = 0; i < group; ++i) {
      const auto& id = ids[(first + i) % ids.size()];
      sqlite3_bind_text(put_, 1, id.data(), static_cast<int>(id.size()), SQLITE_STATIC);
      sqlite3_bind_int64(put_, 2, revision);
      sqlite3_bind_text(put_, 3, body.data(), static_cast<int>(body.size()), SQLITE_STATIC);
      sqlite3_step(put_);
      sqlite3_reset(put_);
    }
    run("commit");
  }

private:
  void run(const char* sql) { REQUIRE(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK); }
  sqlite3* db_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
};

/// As fast as a server can be asked: one statement for all rows of a commit.
class raw_postgresql final : public raw_database {
public:
  explicit raw_postgresql(const std::string& address) : db_(PQconnectdb(address.c_str()), &PQfinish) {
    run("create table actual (sandbox varchar(40) collate \"C\" primary key, revision bigint not null,"
        " body text not null) with (fillfactor = 50)");
    PQclear(PQprepare(db_.get(), "put",
                      "insert into actual select * from unnest($1::text[], $2::bigint[], $3::text[]) on conflict"
                      " (sandbox) do update set revision = excluded.revision, body = excluded.body"
                      " where excluded.revision > actual.revision returning sandbox",
                      0, nullptr));
  }
  void commit(const std::vector<std::string>& ids, std::size_t first, long long revision,
              const std::string& body) override {
    std::array<std::string, 3> columns{"{", "{", "{"};
    for (std::size_t i = 0; i < group; ++i) {
      columns[0].append(i == 0 ? "" : ",").append(ids[(first + i) % ids.size()]);
      columns[1].append(i == 0 ? "" : ",").append(std::to_string(revision));
      columns[2].append(i == 0 ? "" : ",").append(body);
    }
    for (auto& each : columns)
      each.append("}");
    std::array<const char*, 3> values{columns[0].c_str(), columns[1].c_str(), columns[2].c_str()};
    run("begin");
    std::unique_ptr<PGresult, decltype(&PQclear)> got{
      PQexecPrepared(db_.get(), "put", 3, values.data(), nullptr, nullptr, 0), &PQclear};
    REQUIRE(PQntuples(got.get()) == static_cast<int>(group));
    run("commit");
  }

private:
  void run(const char* sql) {
    std::unique_ptr<PGresult, decltype(&PQclear)> got{PQexec(db_.get(), sql), &PQclear};
    REQUIRE(PQresultStatus(got.get()) == PGRES_COMMAND_OK);
  }
  std::unique_ptr<PGconn, decltype(&PQfinish)> db_;
};

double percentile(std::vector<double>& all, double which) {
  std::ranges::sort(all);
  return all[std::min(all.size() - 1, static_cast<std::size_t>(which * static_cast<double>(all.size())))];
}

/// Records on their way into one journal.
class journal_writer {
public:
  explicit journal_writer(io::journal_store& store) : store_(store) {
    std::vector<journal::operation> batch;
    for (std::size_t i = 0; i < sandboxes; ++i) {
      ids.push_back(random_.id());
      texts.push_back(ids.back().text);
      batch.emplace_back(journal::op::want{random_.wanted(ids.back(), 1)});
      if (batch.size() == group)
        perform(batch);
    }
    record_ = usual_record(random_, ids[0], 1);
  }
  /// Seconds of one commit of `records`.
  double commit(std::size_t first, std::uint64_t revision, std::size_t records) {
    std::vector<journal::operation> batch;
    for (std::size_t i = 0; i < records; ++i) {
      record_.sandbox = ids[(first + i) % sandboxes];
      record_.revision = revision;
      batch.emplace_back(journal::op::write{record_});
    }
    return perform(batch);
  }
  /// As long as what it stores of a record.
  [[nodiscard]] std::string a_body() {
    auto ring = journal::key_ring{{io::make_sealing_key(1)}, 1};
    std::array<std::uint8_t, journal::nonce_bytes> nonce{};
    return journal::seal(journal::encode(record_, {}), {texts[0], texts[0], "actual", 1}, ring.keys[0], nonce);
  }
  std::vector<sandbox_id> ids;
  std::vector<std::string> texts;

private:
  double perform(std::vector<journal::operation>& batch) {
    std::vector<journal::result> results;
    auto took = seconds_of([&] { results = store_.perform(batch); });
    for (const auto& each : results)
      if (!each.done)
        FAIL("not stored: " << (each.why ? to_string(*each.why) : "an older one"));
    batch.clear();
    return took;
  }
  io::journal_store& store_;
  random_records random_{1};
  journal::actual_record record_;
};

/// The journal's share of what the database does alone, printed with what else is worth knowing.
double share(const char* database, io::journal_store& store, raw_database& raw, std::size_t turns) {
  journal_writer ours{store};
  auto body = ours.a_body();
  std::vector<double> shares;
  double ours_took = 0;
  double raw_took = 0;
  std::uint64_t revision = 1;
  for (std::size_t turn = 0; turn <= turns; ++turn, ++revision) {
    double mine = 0;
    double theirs = 0;
    for (std::size_t n = 0; n < groups_of_a_turn; ++n) {
      auto first = turn * groups_of_a_turn * group + n * group;
      mine += ours.commit(first, revision, group);
      theirs += seconds_of([&] { raw.commit(ours.texts, first, static_cast<long long>(revision), body); });
    }
    if (turn == 0)
      continue; // everything is new to both
    shares.push_back(theirs / mine);
    ours_took += mine;
    raw_took += theirs;
  }
  std::vector<double> singles;
  for (std::size_t i = 0; i < single_commits; ++i)
    singles.push_back(1'000 * ours.commit(i, revision, 1));
  auto median = percentile(shares, 0.5);
  auto writes = static_cast<double>(turns * groups_of_a_turn * group);
  std::printf(R"({"database":"%s","journal_records_per_s":%.0f,"raw_records_per_s":%.0f,"share":%.2f,)"
              R"("record_bytes":%zu,"one_commit_p50_ms":%.2f,"one_commit_p99_ms":%.2f})"
              "\n",
              database, writes / ours_took, writes / raw_took, median, body.size(), percentile(singles, 0.5),
              percentile(singles, 0.99));
  return median;
}

void compare(std::size_t turns, double least_share) {
  journal_folder folder;
  {
    auto store = folder.open();
    raw_sqlite raw{(folder.path() / "raw.db").string()};
    CHECK(share("SQLite", *store, raw, turns) >= least_share);
  }
  auto server = postgres_server::start(folder.path().parent_path());
  if (!server)
    return;
  journal_folder other;
  auto store = other.open_at(server->fresh_schema());
  raw_postgresql raw{server->fresh_schema()};
  CHECK(share("PostgreSQL", *store, raw, turns) >= least_share);
}

} // namespace

TEST_CASE("writes through the journal take little longer than the database alone") {
  compare(15, share_anywhere);
}

TEST_CASE("writes through the journal beside the database alone, for longer", "[.long]") {
  compare(100, share_at_rest);
}

} // namespace nestor::tests
