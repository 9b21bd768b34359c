// Between MarkedSource and whoever counts its system calls.
#pragma once

#include <cstddef>

#include <sys/syscall.h>

namespace weir::bench {

/// The call before the first frame that counts, and before the last; nothing else here makes it.
inline constexpr long kMarkCall = SYS_getsid;
/// Figures in the shared block.
inline constexpr std::size_t kAllocations = 0, kLocks = 1, kCounting = 2;

}  // namespace weir::bench
