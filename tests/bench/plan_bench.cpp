// What one configuration costs on the plan's side: settings, two git providers, one secret, against answers that are
// ready. Prints microseconds of CPU per plan. Instructions per plan come from two runs under callgrind:
//   valgrind --tool=callgrind --callgrind-out-file=/dev/null plan_bench openhands 1000   (and 2000; the difference /
//   1000)
#include <nestor/nested/push_plan.hpp>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

using namespace nestor;
using namespace nestor::nested;

namespace {

http_reply respond(const http::request& r, bool wrote) {
  auto with = [](std::uint16_t status, std::string_view body) {
    return http::response{status, {}, wiped_string{body}};
  };
  bool get = r.verb == http::method::get;
  if (r.target == "/alive")
    return with(200, R"({"status":"ok"})");
  if (r.target == "/api/settings" && !get)
    return with(200, R"({"message":"Settings stored"})");
  if (r.target == "/api/settings" && !wrote)
    return with(404, R"({"error":"Settings not found"})");
  if (r.target == "/api/settings")
    return with(
      200,
      R"({"agent":"CodeActAgent","condenser_max_size":null,"confirmation_mode":null,"email":null,)"
      R"("email_verified":null,)"
      R"("enable_default_condenser":true,"enable_proactive_conversation_starters":true,)"
      R"("enable_solvability_analysis":true,)"
      R"("enable_sound_notifications":false,"git_user_email":null,"git_user_name":null,"language":"en",)"
      R"("llm_api_key":null,)"
      R"("llm_base_url":null,"llm_model":"anthropic/claude","max_budget_per_task":null,"max_iterations":50,)"
      R"("mcp_config":null,)"
      R"("remote_runtime_resource_factor":null,"sandbox_api_key":null,"sandbox_base_container_image":null,)"
      R"("sandbox_runtime_container_image":null,"search_api_key":null,"security_analyzer":null,)"
      R"("user_consents_to_analytics":null,)"
      R"("v1_enabled":null,"secrets_store":{"provider_tokens":{}},"provider_tokens_set":{"github":null,"gitlab":null},)"
      R"("llm_api_key_set":true,"search_api_key_set":false})");
  if (r.target == "/api/git-providers")
    return with(200,
                R"({"providers":[{"provider":"github","host":null,"user_id":null},{"provider":"gitlab","host":null,)"
                R"("user_id":null}]})");
  if (r.target == "/api/add-git-providers")
    return with(200, R"({"message":"Git providers stored"})");
  if (get && !wrote)
    return with(200, R"({"custom_secrets":[]})");
  if (get)
    return with(200, R"({"custom_secrets":[{"name":"API_TOKEN","description":""}],"secrets":[{"name":"API_TOKEN",)"
                     R"("description":""}]})");
  return with(201, R"({"message":"Secret created successfully"})");
}

double cpu_us() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

push_order order_for(const std::string& dialect) {
  configuration c;
  c.settings = R"({"agent":"CodeActAgent","language":"en","llm_api_key":"sk-0123456789abcdef",)"
               R"("llm_model":"anthropic/claude","max_iterations":50})";
  c.secret_settings = {"/llm_api_key"};
  c.git_providers = {{"github", secret::copy_of("ghp_0123456789abcdef0123456789abcdef"), {}, {}},
                     {"gitlab", secret::copy_of("glpat-0123456789abcdef"), {}, {}}};
  c.secrets = {{"API_TOKEN", secret::copy_of("0123456789abcdef0123456789abcdef"), ""}};
  push_order order;
  order.wanted = std::make_shared<const configuration>(std::move(c));
  order.dialect = dialect;
  order.session_key = secret::copy_of("0123456789abcdef0123456789abcdef");
  order.key = std::make_shared<const digest_key>(digest_key{1, secret::copy_of("0123456789abcdef0123456789abcdef")});
  return order;
}

bool run(const push_order& order) {
  push_plan plan{order, {}};
  bool secret_written = false;
  for (;;) {
    auto what = plan.next({});
    auto* send = std::get_if<send_request>(&what);
    if (!send)
      return std::holds_alternative<confirmation>(what);
    auto reply = respond(send->request, secret_written);
    secret_written |= send->mutates && send->request.target == "/api/secrets";
    plan.on_reply(reply, {});
  }
}

} // namespace

int main(int argc, char** argv) {
  std::string dialect = argc > 1 ? argv[1] : "openhands";
  int count = argc > 2 ? std::atoi(argv[2]) : 100'000;
  auto order = order_for(dialect);
  auto before = cpu_us();
  for (int i = 0; i < count; ++i)
    if (!run(order)) {
      std::fputs("a run was not confirmed\n", stderr);
      return 1;
    }
  std::printf("{\"dialect\":\"%s\",\"plans\":%d,\"us_per_plan\":%.2f}\n", dialect.c_str(), count,
              (cpu_us() - before) / count);
}
