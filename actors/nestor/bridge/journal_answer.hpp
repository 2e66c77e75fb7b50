// How a journal's outcome becomes the message that the asking actor waits for, whatever kind of journal performed it.
#pragma once

#include <nestor/actors/seams.hpp>
#include <nestor/journal/operations.hpp>

namespace nestor::bridge {

/// Tells `to` what came of `what`. Nobody waits for `close` and `forget`.
void answer(const journal::operation& what, journal::result got, const actors::reply_to& to);

} // namespace nestor::bridge
