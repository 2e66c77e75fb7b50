// What the journal costs beside the database alone: the same rows, sealed before, in the same commits at the same sync
// level, through SQLite's own C API.
#include "journal/journal_folder.hpp"
#include "support/random_records.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>

#include <chrono>
#include <cstdio>

namespace nestor::tests {
namespace {

constexpr std::size_t group = 500;

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

void run(sqlite3* db, const char* sql) {
  REQUIRE(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
}

/// Upserts of bodies that are ready.
double raw_loop(const std::string& file, const std::vector<std::string>& ids, const std::string& body,
                std::size_t writes) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
  run(db, "pragma locking_mode=exclusive; pragma journal_mode=wal; pragma synchronous=full;"
          "create table actual (sandbox text primary key, revision integer not null, body text not null)");
  sqlite3_stmt* put = nullptr;
  sqlite3_prepare_v2(db,
                     "insert into actual values (?, ?, ?) on conflict (sandbox) do update set"
                     " revision = excluded.revision, body = excluded.body where excluded.revision > actual.revision",
                     -1, &put, nullptr);
  auto took = seconds_of([&] {
    for (std::size_t i = 0; i < writes; ++i) {
      if (i % group == 0)
        run(db, "begin");
      const auto& id = ids[i % ids.size()];
      sqlite3_bind_text(put, 1, id.data(), static_cast<int>(id.size()), SQLITE_STATIC);
      sqlite3_bind_int64(put, 2, static_cast<sqlite3_int64>(i + 1));
      sqlite3_bind_text(put, 3, body.data(), static_cast<int>(body.size()), SQLITE_STATIC);
      sqlite3_step(put);
      sqlite3_reset(put);
      if (i % group == group - 1)
        run(db, "commit");
    }
  });
  sqlite3_finalize(put);
  sqlite3_close(db);
  return took;
}

} // namespace

TEST_CASE("writes through the journal beside the database alone", "[.long]") {
  constexpr std::size_t writes = 100'000;
  constexpr std::size_t sandboxes = 5'000;
  journal_folder folder;
  random_records random{1};
  std::vector<std::string> ids;
  auto store = folder.open();
  std::vector<journal::operation> batch;
  std::vector<sandbox_id> sandbox;
  for (std::size_t i = 0; i < sandboxes; ++i) {
    sandbox.push_back(random.id());
    ids.push_back(sandbox.back().text);
    batch.emplace_back(journal::op::want{random.wanted(sandbox.back(), 1)});
    if (batch.size() == group) {
      store->perform(batch);
      batch.clear();
    }
  }
  auto record = usual_record(random, sandbox[0], 1);
  double ours = 0;
  for (std::size_t i = 0; i < writes;) {
    batch.clear();
    for (std::size_t n = 0; n < group; ++n, ++i) {
      record.sandbox = sandbox[i % sandboxes];
      record.revision = i + 1;
      batch.emplace_back(journal::op::write{record});
    }
    std::vector<journal::result> results;
    ours += seconds_of([&] { results = store->perform(batch); });
    for (const auto& each : results)
      REQUIRE(each.done);
  }
  auto sealed_size = std::filesystem::file_size(folder.file()) / sandboxes;
  auto raw = raw_loop((folder.path() / "raw.db").string(), ids, std::string(700, 'x'), writes);
  auto per_second = [](double took) { return static_cast<double>(writes) / took; };
  std::printf(R"({"journal_records_per_s":%.0f,"raw_records_per_s":%.0f,"share":%.2f,"bytes_per_sandbox":%zu})"
              "\n",
              per_second(ours), per_second(raw), raw / ours, static_cast<std::size_t>(sealed_size));
  CHECK(per_second(ours) > 1'000); // a figure to read; this only notices a catastrophe
}

} // namespace nestor::tests
