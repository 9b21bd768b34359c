// SinkMeter: what a sink counts, in its lane's control block; and the clock that frames are measured with.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/control.hpp"
#include "weir/detail/block.hpp"

namespace weir::engine {

/// CLOCK_MONOTONIC in units of 64 ns, modulo 2^32, never 0: what latency is measured with.
[[nodiscard]] std::uint32_t origin_now() noexcept;
[[nodiscard]] std::uint64_t monotonic_ns() noexcept;

struct SinkMeter {
  ControlHeader* header = nullptr;  ///< null: not a sink
  bool latency = false;
  void count(const detail::Descriptor& frame) const noexcept;
  /// A frame that is like the one before.
  void count_everyday() const noexcept {
    header->sink_frames.store(header->sink_frames.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

}  // namespace weir::engine
