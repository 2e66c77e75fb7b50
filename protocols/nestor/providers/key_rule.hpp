// R9: where an account's key may go. Pure; whoever carries a provider's questions asks it about every one of them.
#pragma once

#include <nestor/providers/provider.hpp>

namespace nestor::providers {

/// A host of the account's configuration, or one that its key may be sent to besides.
bool key_may_go_to(const account& who, std::string_view host);

/// `request` goes to another host and holds a secret of the account, or a token of its proof, as it is.
bool carries_key_astray(const account& who, const io_request& request);

} // namespace nestor::providers
