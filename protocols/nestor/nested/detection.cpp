#include <nestor/nested/detection.hpp>
#include <nestor/nested/json_text.hpp>

namespace nestor::nested {
namespace {

constexpr std::array<std::string_view, 3> paths{"/api/settings", "/api/init", "/server_info"};
constexpr milliseconds look_within = 10s; // one read; /server_info alone takes 0.1 s on purpose

/// Members of the answer that tell one server from another.
struct marks {
  bool object = false;
  bool provider_tokens_set = false; // V0
  bool agent_settings = false;      // agent-server
  bool init_state = false;          // agent-server, deferred
  bool sdk_version = false;         // agent-server
};

marks marks_of(std::string_view body) {
  marks m;
  bool object = false;
  bool whole = read_json(body, [&](const json_leaf& leaf) {
    if (leaf.path.empty())
      object = leaf.kind == json_kind::object;
    else if (leaf.path == "/provider_tokens_set")
      m.provider_tokens_set = true;
    else if (leaf.path == "/agent_settings")
      m.agent_settings = true;
    else if (leaf.path == "/state")
      m.init_state = leaf.text == "dormant" || leaf.text == "initializing" || leaf.text == "ready";
    else if (leaf.path == "/sdk_version")
      m.sdk_version = true;
  });
  m.object = whole && object;
  return m.object ? m : marks{};
}

failure unknown(std::string cause) {
  return {errc::dialect_unknown, step::alive, std::move(cause), 0, {}};
}

} // namespace

question detection_question(const detection& d) {
  question q;
  q.about = topic::read_settings;
  q.at = step::alive;
  q.path = paths.at(d.asked);
  q.timeout = look_within;
  if (d.asked != 0)
    q.key_header = {}; // the other two are open
  return q;
}

detected detection_heard(detection& d, const question& asked, const http::response& r) {
  auto index = d.asked++;
  d.statuses.at(index) = r.status;
  auto facts = facts_of(r);
  auto m = r.status == 200 ? marks_of(r.body) : marks{};
  if ((index == 0 && m.agent_settings) || (index == 1 && m.init_state) || (index == 2 && m.sdk_version))
    return std::string{"agent-server"};
  if (index == 0 && m.provider_tokens_set)
    return std::string{"openhands"};
  auto judged = judge(asked, r, facts);
  if (index == 0 && judged.is == outcome::kind::missing) // 404 with the V0 server's own words
    return std::string{"openhands"};
  if (index == 0 && r.status == 401 && facts.detail)
    return judged.why;
  bool broken =
    r.status == 200 && (facts.body == answer_facts::shape::broken || facts.body == answer_facts::shape::html);
  bool trouble = r.status >= 500 || r.status == 429 || r.status == 408 || r.status == 425 || broken ||
                 (index == 0 && r.status == 401 && facts.error);
  if (trouble) {
    d.unsure = true;
    d.trouble = judged.why;
  }
  return std::monostate{};
}

void detection_lost(detection& d, const failure& why) {
  ++d.asked;
  d.unsure = true;
  d.trouble = why;
}

bool detection_over(const detection& d) {
  return d.asked >= paths.size();
}

failure dialect_unknown(const detection& d) {
  std::string seen = "seen:";
  for (std::size_t i = 0; i < paths.size(); ++i) {
    seen += i == 0 ? " GET " : ", GET ";
    seen += paths.at(i);
    seen += d.statuses.at(i) == 0 ? " no answer" : " " + std::to_string(d.statuses.at(i));
  }
  return unknown(std::move(seen));
}

} // namespace nestor::nested
