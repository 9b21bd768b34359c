#include "engine/sink_meter.hpp"

#include <chrono>

#include "shm/doorbell.hpp"

namespace weir::engine {

std::uint64_t monotonic_ns() noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(shm::Clock::now().time_since_epoch()).count());
}

std::uint32_t origin_now() noexcept {
  const auto units = static_cast<std::uint32_t>(monotonic_ns() >> 6);
  return units == 0 ? 1 : units;
}

void SinkMeter::count(const detail::Descriptor& frame) const noexcept {
  // relaxed throughout: figures for reports, read after the lane has ended, or as approximations before
  const std::uint64_t frames = header->sink_frames.load(std::memory_order_relaxed);
  if (frames == 0) header->first_frame_ns.store(monotonic_ns(), std::memory_order_relaxed);
  header->sink_frames.store(frames + 1, std::memory_order_relaxed);
  if (frame.flags & detail::kEos) header->last_eos_ns.store(monotonic_ns(), std::memory_order_relaxed);
  if (latency && frame.origin != 0) header->latency.add(static_cast<std::uint64_t>(origin_now() - frame.origin) << 6);
}

}  // namespace weir::engine
