// Whatever somebody sends as a request's head and body: it is refused or read, and what was let in is on a route and
// within the bounds that its readers promise.
#include <nestor/api/gate.hpp>
#include <nestor/api/sandbox_query.hpp>
#include <nestor/sandbox/configuration_change.hpp>
#include <nestor/sandbox/spec_reader.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace nestor;

/// "VERB target\nName: value\n…\n\nbody".
http::request request_of(std::string_view text) {
  http::request made;
  auto line = [&] {
    auto end = text.find('\n');
    auto taken = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    return taken;
  };
  auto first = line();
  auto space = first.find(' ');
  made.verb = http::method_named(first.substr(0, space)).value_or(http::method::get);
  made.target = space == first.npos ? std::string{} : std::string{first.substr(space + 1)};
  for (auto header = line(); !header.empty(); header = line()) {
    auto colon = header.find(": ");
    if (colon != header.npos)
      made.headers.push_back({std::string{header.substr(0, colon)}, wiped_string{header.substr(colon + 2)}});
  }
  made.body.assign(text);
  return made;
}

const sandbox_spec& stored() {
  static const sandbox_spec made = [] {
    sandbox_spec spec;
    spec.runtime = std::make_shared<const runtime_spec>();
    nested::configuration c;
    c.settings = R"({"llm_api_key":"k","llm_model":"x"})";
    c.secret_settings = {"/llm_api_key"};
    c.secrets.push_back({"A", secret::copy_of("a"), "about"});
    spec.configuration = std::make_shared<const nested::configuration>(std::move(c));
    return spec;
  }();
  return made;
}

void demand(bool so) {
  if (!so)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  auto request = request_of({reinterpret_cast<const char*>(bytes), size});
  api::token_book nobody;
  auto in = api::admit(request, {}, nobody);
  if (in)
    demand(in->what.where != nullptr && in->what.where->needs == api::role::anyone);
  else
    demand(row_of(in.error().code).http_status >= 400 && row_of(in.error().code).http_status < 500);
  if (auto target = api::parse_target(request.target)) {
    if (auto query = api::read_sandbox_query(*target))
      demand(query->limit >= 1 && query->limit <= 200);
    if (auto query = api::read_event_query(request, *target))
      demand(query->wait <= 60);
  }
  auto whole = apply({change_kind::replace, request.body}, stored());
  demand(whole || !whole.faults.empty());
  auto merged = apply({change_kind::merge, request.body}, stored());
  if (merged) // what a change leads to, changed by nothing, stays what it is
    demand(plan_of(*merged, *merged).empty());
  return 0;
}
