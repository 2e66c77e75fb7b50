// Commands in a Modal sandbox: the control plane tells the way to the worker that it is on, and the worker's router
// runs them. It knows a command by a name that the client chooses, so that one whose start was not answered can still
// be asked after; it is never started again.
#pragma once

#include <nestor/providers/provider.hpp>

namespace nestor::providers::internal::modal {

/// It begins with 16 random bytes carried: they make the command's name, which no other command may have.
progress<observation> run_command(const account& who, const exec_order& order, const heard& so_far);

} // namespace nestor::providers::internal::modal
