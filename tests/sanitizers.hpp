// Whether a sanitizer watches: its runtime makes system calls and allocations of its own, so they can't be counted.
#pragma once

namespace weir::test {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
}  // namespace weir::test
