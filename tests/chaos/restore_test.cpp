// What an operator sees and does about runtimes that nobody explains: a journal put back from a backup does not know
// what the later state of it has made. Nothing ends before that is confirmed, then only what is ours and unexplained.
#include "chaos/emulated_clouds.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

namespace nestor::tests {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const std::string rare_sweeps = "sweep: {every: 1h}\n"; // what happens here, happens because somebody asked

std::string spec_of(const std::string& name) {
  return json{{"name", name},
              {"provider", "e2b"},
              {"runtime", {{"image", "bare-agent"}, {"command", {"nestor-nested-server"}}, {"port", 3000}}},
              {"configuration", {{"settings", {{"llm_model", "x"}}}}}}
    .dump();
}

/// Waits, at the node, until it is Ready or has ended.
std::string ready(const serving_node& node, const std::string& name) {
  auto made = node.ask("POST", "/v1/sandboxes", node.token(), spec_of(name), "Idempotency-Key: key-" + name + "\r\n");
  INFO(made.body);
  REQUIRE(made.status == 202);
  auto id = made.json()["id"].get<std::string>();
  for (std::uint64_t seen = 0;;) {
    auto status = node.ask("GET", "/v1/sandboxes/" + id, node.token()).json().value("status", "");
    if (status == "Ready" || status == "Failed" || status.empty()) {
      CHECK(status == "Ready");
      return id;
    }
    auto page = node.ask("GET", "/v1/events?wait=10&after=" + std::to_string(seen), node.token());
    seen = page.json().value("last_id", seen);
  }
}

json item_of(const json& report, const std::string& sandbox) {
  for (const auto& each : report["items"])
    if (each["sandbox"] == sandbox)
      return each;
  return {};
}

} // namespace

TEST_CASE("a restored journal ends nothing before it is confirmed, then what nobody explains and nothing else") {
  emulated_clouds clouds{{"--in-memory", "--e2b", "0"}};
  REQUIRE(clouds.up());
  scratch_folder scratch;
  scratch_folder elsewhere;
  auto config = clouds.configuration(scratch) + rare_sweeps;
  serving_node stranger{elsewhere, clouds.configuration(elsewhere) + rare_sweeps};
  REQUIRE(stranger.port() != 0);
  auto foreign = ready(stranger, "foreign");
  std::string kept;
  std::string later;
  fs::path journal = scratch.file("state") + "/journal.db";
  {
    serving_node node{scratch, config};
    REQUIRE(node.port() != 0);
    kept = ready(node, "kept");
    node.leaves_sandboxes = true;
    CHECK(node.end_by(SIGTERM) == 0);
  }
  fs::copy_file(journal, scratch.file("backup"));
  {
    serving_node node{scratch, config};
    later = ready(node, "later");
    node.leaves_sandboxes = true;
    node.program().kill();
  }
  fs::copy_file(scratch.file("backup"), journal, fs::copy_options::overwrite_existing);
  fs::remove(journal.string() + "-wal");

  serving_node node{scratch, config};
  REQUIRE(node.port() != 0);
  CHECK(node.ask("GET", "/v1/node", node.token()).json()["doubt"].is_string());
  auto audit = node.ask("GET", "/v1/leaks", node.token()).json();
  INFO(audit.dump(1));
  CHECK(audit["unexplained"] == 1);
  CHECK(item_of(audit, kept)["known"] == true);
  CHECK(item_of(audit, later)["reason"] == "no record names its sandbox");
  CHECK(item_of(audit, later)["due_at"].is_null());
  CHECK(item_of(audit, foreign).is_null());
  CHECK(node.ask("POST", "/v1/leaks/reap", node.token()).status == 409);
  auto would = node.cli(scratch, {"leak", "reap", "--dry-run"});
  INFO(would.out << would.err);
  CHECK(would.exit_code == 0);
  CHECK_THAT(would.out, Catch::Contains(later) && Catch::Contains("1 unexplained, 0 ended"));
  CHECK(clouds.rented().size() == 3);

  CHECK(node.cli(scratch, {"node", "confirm-restore", "--yes"}).exit_code == 0);
  CHECK(node.ask("GET", "/v1/node", node.token()).json()["doubt"].is_null());
  CHECK(item_of(node.ask("GET", "/v1/leaks", node.token()).json(), later)["due_at"].is_string());
  CHECK(node.ask("POST", "/v1/leaks/reap?installation=nsi-other", node.token()).status == 409);
  REQUIRE(clouds.set_faults({"status:500@GET /v2/sandboxes x*"})); // a list that fails proves nothing
  auto failed = node.ask("POST", "/v1/leaks/reap", node.token()).json();
  INFO(failed.dump(1));
  CHECK(failed["ended"] == 0);
  CHECK(failed["failures"].size() == 1);
  REQUIRE(clouds.set_faults({}));
  auto reaped = node.cli(scratch, {"leak", "reap", "--yes"});
  INFO(reaped.out << reaped.err);
  CHECK(reaped.exit_code == 0);
  CHECK_THAT(reaped.out, Catch::Contains("1 ended, 0 could not be ended"));
  auto rented = clouds.rented();
  CHECK(rented.size() == 2);
  CHECK(rented.contains(kept));
  CHECK(rented.contains(foreign));
  CHECK(node.ask("GET", "/v1/leaks", node.token()).json()["unexplained"] == 0);
  auto metrics = node.ask("GET", "/metrics", node.token()).body;
  CHECK_THAT(metrics, Catch::Contains("nestor_sweep_actions_total{kind=\"ended\"} 1\n") &&
                        Catch::Contains("nestor_journal_doubted 0\n") && Catch::Contains("nestor_intents_open 0\n"));
}

TEST_CASE("an Idempotency-Key gives the same sandbox after kill -9, and no other body") {
  emulated_clouds clouds{{"--in-memory", "--e2b", "0"}};
  REQUIRE(clouds.up());
  scratch_folder scratch;
  auto config = clouds.configuration(scratch) + rare_sweeps;
  std::string id;
  {
    serving_node node{scratch, config};
    REQUIRE(node.port() != 0);
    id = ready(node, "once");
    node.leaves_sandboxes = true;
    node.program().kill();
  }
  serving_node node{scratch, config};
  auto again = node.ask("POST", "/v1/sandboxes", node.token(), spec_of("once"), "Idempotency-Key: key-once\r\n");
  CHECK(again.status == 202);
  CHECK(again.json()["id"] == id);
  auto other = node.ask("POST", "/v1/sandboxes", node.token(), spec_of("twice"), "Idempotency-Key: key-once\r\n");
  CHECK(other.status == 422);
  CHECK(clouds.rented().size() == 1);
}

} // namespace nestor::tests
