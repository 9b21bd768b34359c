// What a frame must not cost: allocations and locks are counted here while `counting` is set, in whichever
// process links this. System calls are counted from outside (bench/rows/steady_state.cpp).
#pragma once

#include <atomic>
#include <cstdint>

namespace weir::bench {

inline std::atomic<bool> counting{false};
inline std::atomic<std::uint64_t> allocations{0}, locks{0};

}  // namespace weir::bench
