// A whole life at an emulated Modal with the real binaries: gRPC to the control plane, HTTP through the tunnel, plain
// and with TLS.
#include "support/canary.hpp"
#include "support/emulator_program.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace nestor::tests;

namespace {

struct emulated_modal {
  scratch_folder scratch;
  emulator_program emulator;
  std::string url, key;

  explicit emulated_modal(std::vector<std::string> with = {}, const scratch_folder* tls = nullptr)
      : emulator(arguments(std::move(with), tls)) {
    REQUIRE(emulator.started());
    url = emulator.url_of("modal");
    key = emulator.key_of("modal");
  }
  static std::vector<std::string> arguments(std::vector<std::string> with, const scratch_folder* tls) {
    std::vector<std::string> argv{"--modal", "0"};
    argv.insert(argv.end(), with.begin(), with.end());
    if (tls)
      argv.insert(argv.end(), {"--tls", tls->file("")});
    return argv;
  }
  /// The node's configuration, with that token's secret.
  std::string node(const std::string& token_secret, const std::string& more = {}) const {
    auto id = scratch.write("id", key);
    auto secret = scratch.write("secret", token_secret);
    return scratch.write("node.yaml", "providers:\n  modal: {token_id: {$file: " + id +
                                        "}, token_secret: {$file: " + secret + "}, server_url: \"" + url + "\"" + more +
                                        "}\n"
                                        "addresses: {allow: [127.0.0.0/8]}\n"
                                        "resolve: {\"*.modal.localhost\": 127.0.0.1}\n");
  }
  program_end up(const std::string& config) const {
    auto value = scratch.write("value", "CANARY-modal-value");
    auto spec = scratch.write("spec.yaml", "name: e2e\nprovider: modal\n"
                                           "runtime: {image: bare-agent, command: [nestor-nested-server], port: 3000}\n"
                                           "configuration: {settings: {llm_model: x, llm_api_key: {$file: " +
                                             value + "}}, secrets: {DEPLOY_KEY: {$file: " + value + "}}}\n");
    return run_program(scratch, {nestor_binary(), "up", "-f", spec, "--config", config, "--once"});
  }
};

} // namespace

TEST_CASE("a sandbox at Modal becomes Ready over gRPC and leaves nothing") {
  emulated_modal modal;
  auto life = modal.up(modal.node(modal.key));
  INFO(life.out << life.err);
  CHECK(life.exit_code == 0);
  CHECK(life.out.find("Ready") != std::string::npos);
  CHECK(life.out.find("Destroyed") != std::string::npos);
  CHECK(life.out.find("CANARY") == std::string::npos);
  CHECK(modal.emulator.rented().dump() == R"({"modal":[]})");
}

TEST_CASE("the same with TLS, whose authority the account names") {
  scratch_folder tls;
  emulated_modal modal{{}, &tls};
  auto life = modal.up(modal.node(modal.key, ", ca_file: " + tls.file("ca.pem")));
  INFO(life.out << life.err);
  CHECK(life.exit_code == 0);
  CHECK(modal.emulator.rented().dump() == R"({"modal":[]})");
  auto stranger = modal.up(modal.node(modal.key));
  CHECK(stranger.exit_code != 0);
  CHECK((stranger.out + stranger.err).find("tls_refused") != std::string::npos);
}

TEST_CASE("a create at Modal whose answer is lost is found again, and ends with its sandbox") {
  emulated_modal modal{{"--fault", "answer-lost@POST /modal.client.ModalClient/SandboxCreateV2$"}};
  auto life = modal.up(modal.node(modal.key));
  INFO(life.out << life.err);
  CHECK(life.exit_code == 0);
  CHECK(life.out.find("Ready") != std::string::npos);
  CHECK(modal.emulator.rented().dump() == R"({"modal":[]})");
}

TEST_CASE("a wrong token at Modal is refused before anything is created") {
  emulated_modal modal;
  auto life = modal.up(modal.node("as-wrong-CANARY"));
  CHECK(life.exit_code != 0);
  auto told = life.out + life.err;
  INFO(told);
  CHECK(told.find("auth_refused") != std::string::npos);
  CHECK(told.find("CANARY") == std::string::npos);
  CHECK(modal.emulator.rented().dump() == R"({"modal":[]})");
}
