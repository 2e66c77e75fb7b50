// How one conversation is started, once as far as one can know. Pure, and the same for every dialect: what differs is
// a row in its table (`conversation_way`).
//
// Where the id may be chosen it is ours, the same for every run of one runtime: then the request may be repeated, the
// server takes it for the same conversation, and one whose answer was lost is looked for before that. A server that
// lets nobody choose is asked once: a lost answer is the end, for the conversation may run.
#pragma once

#include <nestor/core/ids.hpp>
#include <nestor/nested/dialect.hpp>

#include <string>
#include <string_view>

namespace nestor::nested {

/// The id of that runtime's conversation: 32 hexadecimal digits, different for every sandbox and attempt.
std::string conversation_id_of(const sandbox_id& sandbox, attempt number);

void begin_conversation(walk& w, const dialect& how);
turn next_of_conversation(const walk& w, const dialect& how);
outcome heard_of_conversation(walk& w, const dialect& how, const question& asked, const http::response& r);
/// The question was sent, or may have been, and its answer is lost.
void lost_conversation(walk& w, const question& asked);

} // namespace nestor::nested
