// Whether a sanitizer watches: its runtime makes system calls and allocations of its own, so they can't be counted.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEIR_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEIR_SANITIZED 1
#endif
#endif
#ifndef WEIR_SANITIZED
#define WEIR_SANITIZED 0
#endif

namespace weir::test {
inline constexpr bool kSanitized = WEIR_SANITIZED;
}  // namespace weir::test
