// The one place that asks what time it is. Everything else gets `now` as a value, or a function that tests replace.
#pragma once

#include <nestor/core/time.hpp>

namespace nestor::io {

/// The steady clock: monotonic, survives no restart.
instant steady_now();

/// The wall clock: it may step; for people and journals only.
wall_time wall_now();

} // namespace nestor::io
