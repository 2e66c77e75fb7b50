// What one answer of a nested server says: the classification of contract §3.1 as a pure function. It reads status,
// shape and three words of the body, and never repeats what the server sent.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/http/message.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace nestor::nested {

/// What a question is about; decides what its answers mean. Reads come first.
enum class topic : std::uint8_t {
  read_settings,
  read_git_providers,
  read_secrets,
  read_secret_value,
  read_conversations,
  read_conversation,
  read_init,
  write_init,
  write_settings,
  write_git_provider,
  clear_git_providers,
  write_secret,
  delete_secret,
  delete_git_provider,
  write_conversation,
  start_conversation
};

/// One request of a run, before it becomes HTTP.
struct question {
  topic about = topic::read_settings;
  step at = step::settings;
  http::method verb = http::method::get;
  std::string path; ///< without the URL's prefix, percent-encoded
  wiped_string body;
  milliseconds timeout{};
  std::string subject;         ///< name of the git provider or secret; failures may say it
  std::uint16_t success = 200; ///< the status that means done
  bool strict = true;          ///< success needs a JSON object without `error`; otherwise 201 and 204 are as good
  std::string_view key_header = "X-Session-API-Key"; ///< carries the session key; empty: it is not sent
  bool in_clear = false;                             ///< asks for secrets in clear (agent-server)
  bool mutates = false; ///< the server may hold something of ours, or less than before, once it was sent
};

struct outcome {
  enum class kind : std::uint8_t {
    good,    ///< as asked
    missing, ///< 404: what was asked for, or asked to be deleted, is not there
    exists,  ///< the server says it has one of that name already
    again,   ///< ask again later, at `why.retry_after` the earliest
    refused  ///< asking again would not help
  };
  kind is = kind::good;
  /// The request may have taken effect although the answer is not `good`.
  bool ambiguous = false;
  failure why{};
};

/// Longest wait that a nested server may impose (architecture §5).
inline constexpr milliseconds retry_after_max{60'000};

/// Shape and the few facts of a body that classification needs.
struct answer_facts {
  enum class shape : std::uint8_t { empty, object, other_json, html, broken };
  shape body = shape::empty;
  bool error = false;              ///< a member `error` that is not null
  bool detail = false;             ///< a member `detail`
  bool already_exists = false;     ///< `message` or `error` says so
  bool settings_not_found = false; ///< `error` says so
};
answer_facts facts_of(const http::response& r);
/// From the first character alone, for answers that are read whole afterwards: an object is taken for a whole one.
answer_facts first_facts_of(const http::response& r);

outcome judge(const question& asked, const http::response& r, const answer_facts& facts);
outcome judge(const question& asked, const http::response& r);
/// What the absence of an answer means.
outcome judge(const question& asked, http::transport_error e);

/// A failure at `asked` whose cause names the step and the subject; `what` is in words of ours.
failure failure_at(const question& asked, errc code, std::string_view what, std::uint16_t status = 0);
/// "the secret 'NAME'", "the git provider 'NAME'", "the settings": for causes.
std::string subject_of(const question& asked);

} // namespace nestor::nested
