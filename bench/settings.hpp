// What every measurement is told: how much, and on which two cores.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir::bench {

struct Settings {
  bool quick = false;      ///< a tenth of the work, for a first look
  std::size_t rounds = 7;  ///< that count; one before them warms up
  int near = 0, far = 0;   ///< the two cores that the ends of a pair are pinned to

  [[nodiscard]] std::uint64_t scaled(std::uint64_t count) const noexcept {
    return quick ? count / 10 : count;
  }
};

/// Frames that a queue or ring holds, the same for all contenders.
inline constexpr std::size_t kCapacity = 1024;

/// Keeps the calling thread on one core; where that is refused it stays free.
void pin(int core) noexcept;

}  // namespace weir::bench
