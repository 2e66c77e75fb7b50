// The key that a runtime's nested server is to be spoken to with, derived from the labels it carries: a runtime whose
// create was never answered can still be spoken to once it is found by them, and no key needs to be durable first.
#pragma once

#include <nestor/core/secret.hpp>
#include <nestor/providers/provider.hpp>

namespace nestor::providers {

/// Keyed BLAKE2b-256 over the labels, as 43 characters that are legal in a header and an environment. `node_secret`
/// holds 32 bytes and is the same for as long as the installation is; whoever lacks it learns nothing from any number
/// of such keys.
secret session_key_of(const labels& stamp, const secret& node_secret);

} // namespace nestor::providers
