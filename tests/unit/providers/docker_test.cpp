// The `docker` translator against what engines answer, Docker's and Podman's, word for word where words matter.
#include <nestor/providers/internal/docker_engine.hpp>
#include <nestor/providers/provider.hpp>
#include <nestor/providers/rest.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace nestor;
using namespace nestor::providers;
using nlohmann::json;

namespace {

const provider& docker = *of_kind("docker");
constexpr std::string_view key = "a-session-key-of-43-characters";

account some_account(std::string socket = "/run/docker.sock") {
  account who;
  who.name = "docker";
  who.speaks = &docker;
  who.settings = {{"socket", std::move(socket)}};
  who.proven.tokens.emplace_back("version", secret::copy_of("/v1.41"));
  return who;
}

provision_order some_order() {
  runtime_spec spec;
  spec.image = "acme/agent:1";
  spec.command = {"serve", "--all"};
  spec.port = 3000;
  spec.env = {{"LOG_LEVEL", "info"}};
  spec.cpu = 1.5;
  spec.memory_bytes = 268'435'456;
  provision_order order;
  order.stamp = {{"nsi-i"}, {"nst-s"}, 2};
  order.spec = std::make_shared<runtime_spec>(std::move(spec));
  order.session_key = secret::copy_of(key);
  return order;
}

runtime some_runtime() {
  runtime r;
  r.ref = "c0ffee";
  r.where.host = "127.0.0.1";
  r.where.port = 1;
  return r;
}

io_reply says(std::uint16_t status, const json& body = {}) {
  return http_reply{http::response{status, {}, body.is_null() ? wiped_string{} : wiped_string{body.dump()}}};
}
io_reply bytes(std::string_view body) {
  return http_reply{http::response{200, {}, wiped_string{body}}};
}
io_reply breaks(http::transport_error why) {
  return http_reply{why};
}
io_reply created() {
  return says(201, {{"Id", "c0ffee"}, {"Warnings", json::array()}});
}
json container(std::string status, json more = json::object()) {
  json seen{
    {"Id", "c0ffee"},
    {"State", {{"Status", std::move(status)}, {"ExitCode", 0}, {"Error", ""}}},
    {"HostConfig", {{"NanoCpus", 1'500'000'000}, {"Memory", 268'435'456}}},
    {"Config", {{"Labels", {{"nestor-installation", "nsi-i"}, {"nestor-sandbox", "nst-s"}, {"nestor-attempt", "2"}}}}},
    {"NetworkSettings",
     {{"Ports",
       {{"22/tcp", nullptr}, {"3000/tcp", json::array({{{"HostIp", "127.0.0.1"}, {"HostPort", "41123"}}})}}}}}};
  seen.merge_patch(more);
  return seen;
}
io_reply shows(std::string status, const json& more = json::object()) {
  return says(200, container(std::move(status), more));
}
const io_reply gone = says(404, {{"message", "No such container: c0ffee"}});
const io_reply in_progress = says(409, {{"message", "removal of container c0ffee is already in progress"}});
const json name_in_use{{"message", "Conflict. The container name \"/nst-s-2\" is already in use"}};

/// A conversation in which the engine says these, in this order.
struct talk {
  std::vector<http_call> calls;
  std::vector<std::string> asked; ///< "POST /containers/create", without version and query

  template <class Result, class Order>
  std::variant<Result, failure> hold(operation<Result, Order> what, const Order& order, std::vector<io_reply> engine,
                                     const account& who = some_account()) {
    heard so_far;
    wiped_string carried;
    milliseconds elapsed{0};
    for (std::size_t next = 0;; ++next) {
      auto came = what(who, order, so_far);
      auto* question = std::get_if<ask>(&came);
      if (!question) {
        CHECK(next == engine.size()); // it heard all of it
        if (auto* why = std::get_if<failure>(&came))
          return std::move(*why);
        return std::move(std::get<Result>(came));
      }
      note(std::get<http_call>(question->request));
      if (next == engine.size())
        throw std::runtime_error{"one more question: " + asked.back()};
      carried = std::move(question->carried);
      elapsed += question->after;
      so_far = {question->at, &engine[next], carried, static_cast<std::uint32_t>(next + 1), elapsed};
    }
  }

private:
  void note(const http_call& call) {
    CHECK(call.to.unix_path == "/run/docker.sock");
    CHECK(call.from == address_source::node);
    REQUIRE(call.request.target.starts_with("/v1.41/"));
    auto path = call.request.target.substr(6);
    asked.push_back(std::string{http::name_of(call.request.verb)} + " " + path.substr(0, path.find('?')));
    calls.push_back(call);
  }
};

template <class Result>
failure why_of(const std::variant<Result, failure>& came) {
  REQUIRE(std::holds_alternative<failure>(came));
  return std::get<failure>(came);
}

std::vector<std::string> verbs(std::initializer_list<const char*> all) {
  return {all.begin(), all.end()};
}

const char* const create_it = "POST /containers/create";
const char* const start_it = "POST /containers/c0ffee/start";
const char* const look_at_it = "GET /containers/c0ffee/json";
const char* const look_at_name = "GET /containers/nst-s-2/json";
const char* const remove_it = "DELETE /containers/c0ffee";

} // namespace

TEST_CASE("docker: a create carries labels, port, limits and the session key, and nothing else carries the key") {
  talk t;
  auto here = std::get<runtime>(t.hold(docker.provision, some_order(), {created(), says(204), shows("running")}));
  CHECK(t.asked == verbs({create_it, start_it, look_at_it}));
  CHECK(t.calls[0].request.target == "/v1.41/containers/create?name=nst-s-2");
  auto sent = json::parse(t.calls[0].request.body);
  CHECK(sent == json::parse(R"({"Image":"acme/agent:1","Cmd":["serve","--all"],
    "Env":["LOG_LEVEL=info","PORT=3000","SESSION_API_KEY=a-session-key-of-43-characters"],
    "Labels":{"nestor-installation":"nsi-i","nestor-sandbox":"nst-s","nestor-attempt":"2"},
    "ExposedPorts":{"3000/tcp":{}},
    "HostConfig":{"PortBindings":{"3000/tcp":[{"HostIp":"127.0.0.1","HostPort":""}]},
      "NanoCpus":1500000000,"Memory":268435456}})"));
  for (std::size_t i = 1; i < t.calls.size(); ++i)
    CHECK(t.calls[i].request.body.find(key) == std::string::npos);
  CHECK(here.ref == "c0ffee");
  CHECK(here.where == endpoint{false, "127.0.0.1", 41123, {}});
  CHECK(here.from == address_source::node);
  CHECK(here.session_key == secret::copy_of(key));
}

TEST_CASE("docker: a create without an answer is open if it was sent, and a plain failure if it was not") {
  CHECK(why_of(talk{}.hold(docker.provision, some_order(), {breaks(http::transport_error::timed_out)})).code ==
        errc::create_unknown);
  CHECK(why_of(talk{}.hold(docker.provision, some_order(), {breaks(http::transport_error::refused)})).code ==
        errc::provider_unavailable);
}

TEST_CASE("docker: a refused create is judged by what has its name") {
  // Docker says 409 to a name in use, Podman 500.
  auto refused = GENERATE(says(409, name_in_use), says(500, {{"message", "that name is already in use"}}));
  talk t;
  SECTION("it is ours: adopted") {
    auto came = t.hold(docker.provision, some_order(), {refused, shows("running"), shows("running")});
    CHECK(std::get<runtime>(came).ref == "c0ffee");
    CHECK(t.asked == verbs({create_it, look_at_name, look_at_it}));
  }
  SECTION("it is another installation's: refused, and left alone") {
    auto theirs = shows("running", {{"Config", {{"Labels", {{"nestor-installation", "nsi-other"}}}}}});
    CHECK(why_of(t.hold(docker.provision, some_order(), {refused, theirs})).code == errc::provision_refused);
  }
  SECTION("nobody has it: nothing was created") {
    auto why = why_of(t.hold(docker.provision, some_order(), {refused, gone}));
    CHECK(why.code == errc::provision_failed);
    CHECK_THAT(why.cause, Catch::Contains("already in use"));
  }
  SECTION("nobody can say") {
    CHECK(why_of(t.hold(docker.provision, some_order(), {refused, says(500)})).code == errc::create_unknown);
  }
}

TEST_CASE("docker: an image that the engine lacks is refused with what to do") {
  auto why =
    why_of(talk{}.hold(docker.provision, some_order(), {says(404, {{"message", "No such image: acme/agent:1"}})}));
  CHECK(why.code == errc::provision_refused);
  CHECK_THAT(why.cause, Catch::Contains("acme/agent:1") && Catch::Contains("docker pull"));
}

TEST_CASE("docker: what cannot be started is removed, and its absence observed, before that is told") {
  struct row {
    std::uint16_t status;
    errc code;
  };
  // Docker answers 400 to a command that is not there (404 before 1.40), Podman 500.
  auto [status, code] =
    GENERATE(row{400, errc::provision_refused}, row{404, errc::provision_refused}, row{500, errc::provision_failed});
  auto refused = says(status, {{"message", "exec: \"serve\": executable file not found in $PATH"}});
  talk t;
  SECTION("gone") {
    auto why = why_of(t.hold(docker.provision, some_order(), {created(), refused, says(204), gone}));
    CHECK(why.code == code);
    CHECK_THAT(why.cause, Catch::Contains("executable file not found"));
    CHECK(t.asked == verbs({create_it, start_it, remove_it, look_at_it}));
  }
  SECTION("not gone at once: removed again") {
    auto why = why_of(t.hold(docker.provision, some_order(), {created(), refused, says(204), shows("created"), gone}));
    CHECK(why.code == code);
  }
  SECTION("it will not go: open") {
    CHECK(why_of(t.hold(docker.provision, some_order(), {created(), refused, says(500)})).code == errc::create_unknown);
  }
}

TEST_CASE("docker: a start without an answer is judged by the container's state") {
  auto lost = breaks(http::transport_error::reset);
  talk t;
  auto came = t.hold(docker.provision, some_order(), {created(), lost, shows("created"), says(304), shows("running")});
  CHECK(std::get<runtime>(came).where.port == 41123);
  CHECK(t.asked == verbs({create_it, start_it, look_at_it, start_it, look_at_it}));
}

TEST_CASE("docker: a container that ends at once is told with its last words, without the key, and removed") {
  std::string words = "no key " + std::string{key} + "\n";
  auto log = std::string{"\2\0\0\0\0\0\0", 7} + static_cast<char>(words.size()) + words;
  auto ended = shows("exited", {{"State", {{"ExitCode", 7}}}});
  talk t;
  auto why = why_of(t.hold(docker.provision, some_order(), {created(), says(204), ended, bytes(log), says(204), gone}));
  CHECK(why.code == errc::runtime_exited);
  CHECK_THAT(why.cause, Catch::Contains("status 7") && Catch::Contains("no key <secret>"));
  CHECK(t.asked[3] == "GET /containers/c0ffee/logs");
  CHECK(t.asked[4] == remove_it);
}

TEST_CASE("docker: limits that the engine took and dropped with a warning are an error") {
  auto dropped = shows("running", {{"HostConfig", {{"Memory", 0}}}});
  auto why = why_of(talk{}.hold(docker.provision, some_order(), {created(), says(204), dropped, says(204), gone}));
  CHECK(why.code == errc::capability_missing);
}

TEST_CASE("docker: a container that never runs is open, within a time") {
  std::vector<io_reply> engine{created(), says(204)};
  milliseconds elapsed{0};
  heard so_far;
  for (; elapsed < milliseconds{25'000}; ++so_far.asked) {
    engine.push_back(shows("restarting"));
    so_far.elapsed = elapsed;
    elapsed += poll_after(so_far);
  }
  engine.push_back(shows("restarting"));
  CHECK(why_of(talk{}.hold(docker.provision, some_order(), engine)).code == errc::create_unknown);
}

TEST_CASE("docker: a look-up filters on all three labels, and gives what can be configured") {
  talk t;
  auto found = says(200, json::array({{{"Id", "c0ffee"}}}));
  SECTION("nothing") {
    auto came = t.hold(docker.observe, some_order(), {says(200, json::array())});
    CHECK(std::holds_alternative<absent>(std::get<sighting>(came)));
    CHECK(t.calls[0].request.target ==
          "/v1.41/containers/json?all=true&filters=" +
            query_value(R"({"label":["nestor-installation=nsi-i","nestor-sandbox=nst-s","nestor-attempt=2"]})"));
  }
  SECTION("created and never started: started now") {
    auto came = t.hold(docker.observe, some_order(), {found, shows("created"), says(204), shows("running")});
    CHECK(std::get<runtime>(std::get<sighting>(came)).where.port == 41123);
  }
  SECTION("ended: started again, for someone's work may be in it") {
    auto came = t.hold(docker.observe, some_order(), {found, shows("exited"), says(204), shows("running")});
    CHECK(std::get<runtime>(std::get<sighting>(came)).where.port == 41123);
  }
  SECTION("it will not run: it is there all the same, and not removed") {
    auto came = t.hold(docker.observe, some_order(), {found, shows("exited"), says(400), shows("exited")});
    CHECK(std::get<runtime>(std::get<sighting>(came)).ref == "c0ffee");
  }
  SECTION("being removed by somebody: waited for") {
    auto came = t.hold(docker.observe, some_order(), {found, shows("removing"), shows("removing"), gone});
    CHECK(std::holds_alternative<absent>(std::get<sighting>(came)));
  }
  SECTION("no list") {
    auto bad = GENERATE(says(200, {{"a", 1}}), says(500), breaks(http::transport_error::reset));
    CHECK(why_of(t.hold(docker.observe, some_order(), {bad})).code == errc::provider_unavailable);
  }
}

TEST_CASE("docker: gone is said only when absence was observed, and a removal in progress is waited for") {
  auto end = [](std::vector<io_reply> engine) {
    talk t;
    auto came = t.hold(docker.destroy, some_runtime(), std::move(engine));
    CHECK(t.calls[0].request.target == "/v1.41/containers/c0ffee?force=true&v=true");
    return came;
  };
  CHECK(std::holds_alternative<absent>(end({gone})));
  CHECK(std::holds_alternative<absent>(end({says(204), gone})));
  CHECK(std::holds_alternative<absent>(end({in_progress, shows("removing"), shows("removing"), gone})));
  CHECK(std::holds_alternative<absent>(end({says(204), shows("running"), says(204), gone})));
  CHECK(why_of(end({says(500, {{"message", "driver failed"}})})).code == errc::destroy_failed);
  CHECK(why_of(end({says(204), says(500)})).code == errc::destroy_failed);
  CHECK(why_of(end({breaks(http::transport_error::refused)})).code == errc::destroy_failed);
}

TEST_CASE("docker: pausing and resuming what already is so succeeds") {
  auto already = says(500, {{"message", "container state improper"}}); // Podman; Docker says 409
  CHECK(std::holds_alternative<paused>(talk{}.hold(docker.pause, some_runtime(), {says(204)})));
  CHECK(std::holds_alternative<paused>(talk{}.hold(docker.pause, some_runtime(), {already, shows("paused")})));
  CHECK(why_of(talk{}.hold(docker.pause, some_runtime(), {already, shows("exited")})).code ==
        errc::provider_unavailable);
  CHECK(why_of(talk{}.hold(docker.pause, some_runtime(), {gone, gone})).code == errc::runtime_lost);

  CHECK(std::get<runtime>(talk{}.hold(docker.resume, some_runtime(), {already, shows("running")})).where.port == 41123);
  auto still = why_of(talk{}.hold(docker.resume, some_runtime(), {already, shows("paused")}));
  CHECK(still.code == errc::provider_unavailable);
  CHECK_THAT(still.cause, Catch::Contains("container state improper"));
  CHECK(why_of(talk{}.hold(docker.resume, some_runtime(), {gone, gone})).code == errc::runtime_lost);
}

TEST_CASE("docker: the port of a container that was started again is asked for anew") {
  CHECK(std::get<runtime>(talk{}.hold(docker.address, some_runtime(), {shows("running")})).where.port == 41123);
  CHECK(why_of(talk{}.hold(docker.address, some_runtime(), {shows("exited")})).code == errc::runtime_exited);
}

TEST_CASE("docker: a command's streams are told apart, and a lost answer is not asked again") {
  exec_order order{some_runtime(), "echo out; echo err >&2", milliseconds{7'000}};
  auto prepared = says(201, {{"Id", "e1"}});
  std::string framed{"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n\1\0\0\0\0\0\0\7end", 35};
  talk t;
  auto still = says(200, {{"Running", true}, {"ExitCode", 0}});
  auto ended = says(200, {{"Running", false}, {"ExitCode", 3}});
  auto came = std::get<observation>(t.hold(docker.exec, order, {prepared, bytes(framed), still, ended}));
  CHECK(came.exit_status == 3);
  CHECK(came.output == "out\nend");
  CHECK(came.error_output == "err\n");
  CHECK(t.calls[1].timeout == order.within);
  CHECK(t.asked ==
        verbs({"POST /containers/c0ffee/exec", "POST /exec/e1/start", "GET /exec/e1/json", "GET /exec/e1/json"}));
  auto lost =
    std::get<observation>(talk{}.hold(docker.exec, order, {prepared, breaks(http::transport_error::timed_out)}));
  CHECK(lost.came == verdict::unknown);
  CHECK_THAT(lost.trouble, Catch::Contains("not known whether it was run"));
  auto blind = std::get<observation>(talk{}.hold(docker.exec, order, {prepared, bytes(framed), gone}));
  CHECK(blind.came == verdict::unknown);
  CHECK(why_of(talk{}.hold(docker.exec, order, {breaks(http::transport_error::timed_out)})).code ==
        errc::provider_unavailable); // a command that was only prepared does not run
}

TEST_CASE("docker: what a container printed is read in whole lines, by one look") {
  std::string framed{"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n\1\0\0\0\0\0\0\7end", 35};
  talk t;
  auto said = std::get<printed>(t.hold(docker.output, some_runtime(), {bytes(framed)}));
  CHECK(said.captured);
  CHECK(said.text == "out\nerr\n");
  CHECK(t.asked.size() == 1);
  CHECK_FALSE(std::get<printed>(talk{}.hold(docker.output, some_runtime(), {says(404, {{"message", "no"}})})).captured);
}

TEST_CASE("docker: a list is read page by page, each behind the last container of the one before") {
  json many = json::array();
  for (int i = 0; i < 128; ++i)
    many.push_back({{"Id", "id" + std::to_string(i)},
                    {"Created", 1'795'812'402},
                    {"State", "running"},
                    {"Labels", {{"nestor-sandbox", "nst-s"}, {"nestor-attempt", "3"}}}});
  talk t;
  auto page = std::get<listing>(t.hold(docker.list, list_order{{"nsi-i"}, ""}, {says(200, many)}));
  CHECK(page.items.size() == 128);
  CHECK(page.items[0].sandbox == "nst-s");
  CHECK(page.items[0].number == 3);
  CHECK(page.next == "id127");
  page = std::get<listing>(t.hold(docker.list, list_order{{"nsi-i"}, page.next}, {says(200, json::array())}));
  CHECK(page.next.empty());
  CHECK(t.calls[1].request.target == "/v1.41/containers/json?all=true&limit=128&filters=" +
                                       query_value(R"({"before":["id127"],"label":["nestor-installation=nsi-i"]})"));
}

TEST_CASE("docker: the engine is greeted first, and tells the version that every later call names") {
  talk t;
  auto greeted = http_reply{http::response{200, {{"Api-Version", "1.44"}}, wiped_string{"OK"}}};
  auto shown = std::get<proof>(t.hold(docker.authenticate, no_order{}, {greeted}));
  auto who = some_account();
  who.proven = shown;
  auto came = docker.destroy(who, some_runtime(), heard{});
  CHECK(std::get<http_call>(std::get<ask>(came).request).request.target.starts_with("/v1.44/containers/"));

  auto why = why_of(talk{}.hold(docker.authenticate, no_order{}, {breaks(http::transport_error::refused)}));
  CHECK(why.code == errc::provider_unavailable);
  CHECK_THAT(why.cause, Catch::Contains("/run/docker.sock"));
}

TEST_CASE("docker: the socket is a path, as DOCKER_HOST may write it, and nothing else") {
  CHECK(internal::socket_of(some_account("unix:///run/docker.sock")) == "/run/docker.sock");
  auto elsewhere = GENERATE("tcp://127.0.0.1:2375", "ssh://host", "docker.sock", "unix://");
  auto came = docker.authenticate(some_account(elsewhere), no_order{}, heard{});
  CHECK(std::get<failure>(came).code == errc::spec_invalid);
}

TEST_CASE("docker: what cannot be honoured is refused by name") {
  struct row {
    std::string_view field;
    void (*spoil)(runtime_spec&);
  };
  auto [field, spoil] =
    GENERATE(row{"runtime.image", [](runtime_spec& s) { s.image.clear(); }},
             row{"runtime.port", [](runtime_spec& s) { s.port = 0; }},
             row{"runtime.url", [](runtime_spec& s) { s.url = "http://a"; }},
             row{"runtime.session_key", [](runtime_spec& s) { s.session_key = secret::copy_of("k"); }},
             row{"runtime.options", [](runtime_spec& s) { s.options = R"({"a":1})"; }});
  auto spec = *some_order().spec;
  CHECK(docker.validate(spec));
  spoil(spec);
  auto said = docker.validate(spec);
  REQUIRE_FALSE(said);
  CHECK_THAT(said.error().cause, Catch::StartsWith(std::string{field}));
}

TEST_CASE("docker: frames that are cut or empty are read as far as they go") {
  CHECK(internal::streams_of("").both.empty());
  CHECK(internal::streams_of(std::string_view{"\1\0\0\0\0", 5}).both.empty());
  CHECK(internal::streams_of(std::string_view{"\2\0\0\0\0\0\0\11abc", 11}).err == "abc");
  CHECK(internal::streams_of(std::string_view{"\1\0\0\0\xff\xff\xff\xff", 8}).both.empty());
  CHECK(internal::tail_of(std::string(1'000, 'x') + "\n\x1b[0m").size() <= 300);
}
