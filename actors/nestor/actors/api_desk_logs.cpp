// The API DESK's route of what a runtime printed. The text is anything: the program in there may print its own secrets.
// So every secret that the journal still holds of the sandbox is taken out of it, in every form that `redact` knows,
// before it is cut to size: half a secret would not be recognised.
#include <nestor/actors/internal/api_asking.hpp>

#include <nestor/api/answer.hpp>
#include <nestor/core/redact.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace nestor::actors {
namespace {

constexpr std::size_t text_max = 65'536; // bytes, as the schema says: what a person reads, and what a terminal scrolls

std::vector<secret> secrets_of(const sandbox_records& records, const providers::runtime& runtime) {
  std::vector<secret> all{runtime.session_key};
  for (const auto& header : runtime.headers)
    all.emplace_back(std::string{header.value});
  for (const auto& each : records.wanted)
    for (auto& one : nested::secrets_of(*each->spec->configuration))
      all.push_back(std::move(one));
  return all;
}

std::string bounded(std::string text) {
  if (text.size() > text_max) {
    auto line = text.find('\n', text.size() - text_max);
    text.erase(0, line == std::string::npos ? text.size() : line + 1);
  }
  std::ranges::replace_if(
    text, [](unsigned char c) { return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f; }, ' ');
  return text;
}

} // namespace

void api_desk::on_logs(const request& r) {
  auto id = sandbox_of(r);
  if (!id)
    return;
  ask<sandbox_seen>(r, front_, get_sandbox{*id, r->in.who.sees()}, [this, r, id](sandbox_seen& seen) {
    if (seen.refused)
      return refuse(r, *seen.refused);
    if (ended(seen.view->word))
      return answer_log(r, {}, "the sandbox has ended; the last lines of one that failed are in its failure's cause");
    loading_.emplace(next_load_, [this, r, account = seen.view->provider](records_loaded& loaded) {
      if (!loaded.found)
        return refuse(r, {errc::journal_unavailable, step::ready, "what must not be shown could not be read", 0, {}});
      read_log(r, account, std::move(*loaded.found));
    });
    around_->journal->load(*id, {self_->address(), next_load_++});
  });
}

void api_desk::on_records(records_loaded& loaded) {
  if (auto waiting = loading_.extract(loaded.ticket))
    waiting.mapped()(loaded);
}

void api_desk::read_log(const request& r, const std::string& account, sandbox_records records) {
  const auto* source = providers::account_named(*around_->accounts, account);
  if (!source || !source->plain.speaks->output)
    return answer_log(r, {}, "this provider captures no output; look at it inside the runtime");
  if (!records.actual || !records.actual->runtime)
    return answer_log(r, {}, "there is no runtime at the moment");
  auto runtime = records.actual->runtime;
  auto hidden = secrets_of(records, *runtime);
  ask<output_read>(r, around_->desk, read_output{account, std::move(runtime)},
                   [this, r, hidden = std::move(hidden)](output_read& read) {
                     if (read.why)
                       return refuse(r, *read.why);
                     if (!read.what.captured)
                       return answer_log(r, {},
                                         "nobody captures its output: its runtime is gone, or was started before "
                                         "this node was and prints to nobody since");
                     answer_log(r, bounded(redact(std::move(read.what.text), hidden)), {});
                   });
}

/// `reason` empty: it was captured.
void api_desk::answer_log(const request& r, std::string text, std::string_view reason) {
  nlohmann::ordered_json body{{"id", r->in.what.argument}, {"captured", reason.empty()}, {"text", std::move(text)}};
  body["reason"] = reason.empty() ? nlohmann::ordered_json{} : nlohmann::ordered_json(std::string{reason});
  answer(r, api::json_answer(200, body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)));
}

} // namespace nestor::actors
