// Which cores this process may use, and how many: what its affinity and its control group leave of the machine.
#pragma once

#include "weir/placement.hpp"

namespace weir::engine {

/// The CPUs that the calling thread may run on, sorted.
[[nodiscard]] Cpus allowed_cpus();

/// At least 1. Read anew at each call.
[[nodiscard]] unsigned usable_cores() noexcept;

}  // namespace weir::engine
