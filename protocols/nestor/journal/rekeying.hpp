// Digests of what a runtime holds, said under another key: the digests themselves cannot be turned, but what they are
// of can be digested again. Pure.
#pragma once

#include <nestor/nested/configuration.hpp>

namespace nestor::journal {

/// Where `of` says what `before` says, it says what `now` says instead: deliveries of one configuration under two keys.
void renew(nested::delivery& of, const nested::delivery& before, const nested::delivery& now);

} // namespace nestor::journal
