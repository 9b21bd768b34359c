// How many cores this process may use: what its affinity and its control group leave of the machine.
#pragma once

namespace weir::engine {

/// At least 1. Read anew at each call.
[[nodiscard]] unsigned usable_cores() noexcept;

}  // namespace weir::engine
