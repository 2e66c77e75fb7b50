// What a conversation's stage makes of an answer, whatever wire it came on.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/providers/rest.hpp>

#include <string>
#include <string_view>

namespace nestor::providers::internal {

/// The code of a failure that says nothing about what the provider thinks of us.
errc broken(stage now);
/// Of an exchange without an answer.
errc code_of(stage now, http::transport_error why);
step step_of(stage now);

/// A provider's own words for a cause: bounded, one line, without a key of the account in it.
std::string without_keys(const account& who, std::string text);
/// "daytona while creating a sandbox: ".
std::string beginning(const account& who, std::string_view doing);

} // namespace nestor::providers::internal
