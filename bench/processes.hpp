// What the kernel knows of this process's threads and worker processes, read from /proc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir::bench {

/// The children of this process.
[[nodiscard]] std::vector<std::string> children();

struct Activity {
  std::uint64_t switches = 0;  ///< context switches, voluntary or not
  std::uint64_t cpu_ns = 0;
};
/// So far, of all threads of this process but the one that asks, and of all its children.
[[nodiscard]] Activity activity();

/// Bytes that only this process has: its PSS less what it shares.
[[nodiscard]] std::uint64_t private_bytes(const std::string& pid);

}  // namespace weir::bench
