// What lies in shared memory, and nothing else: trivially copyable structs with pinned sizes and offsets. The
// same structs serve lanes of one process, in private memory. Whoever creates a segment and whoever attaches to
// it use this file and the size functions below.
//
//   bell segment     Bell                                     one page a lane; its neighbours ring it
//   ring segment     RingHeader | Slot × slots                one a link
//   arena segment    ArenaHeader | { BlockHeader payload }…   one a lane that lends blocks
//   control segment  engine/control.hpp                       one a lane, seen by it and the parent only
//
//   RingHeader  0    written by the consumer: head, samples; and on a line that it writes once, gone
//               P    constants: magic, version, slots, limit      (P: kRingPart, a page, so that neither side need be
//            P+64    written by the producer: closed_at            able to write what the other does: ring_segment.hpp)
//           P+128    Slot 0: stamp (8 bytes) and descriptor (56), one cache line
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "weir/detail/block.hpp"

namespace weir::shm {

/// Changes whenever a struct of this file or of engine/control.hpp changes.
inline constexpr std::uint32_t kLayoutVersion = 3;
inline constexpr std::size_t kLine = 64;

/// A lane's doorbell: the word it sleeps on.
struct alignas(kLine) Bell {
  /// 1 while the lane sleeps or is about to. Set by the lane, cleared by whoever wakes it.
  std::atomic<std::uint32_t> parked{0};
  /// When it was woken last, CLOCK_MONOTONIC in ns: what a wake-up costs. Set by whoever wakes it.
  std::atomic<std::uint64_t> woken_ns{0};
};
static_assert(sizeof(Bell) == kLine && std::is_standard_layout_v<Bell>);

/// One frame under way. Descriptor::home is the stamp: position + 1 once the frame of that position is readable.
/// Only the producer writes slots, so the consumer's core never takes a slot's line away for writing.
using Slot = detail::Descriptor;
static_assert(sizeof(Slot) == kLine && offsetof(Slot, home) == 0);

inline constexpr std::uint64_t kRingMagic = 0x676e697272696577;   // "weirring"
inline constexpr std::uint64_t kArenaMagic = 0x6e65726172696577;  // "weiraren"
inline constexpr std::uint64_t kOpen = ~std::uint64_t{0};

/// As long as a page of the kernel's, whatever it was built with.
#if defined(__x86_64__)
inline constexpr std::size_t kRingPart = 4 << 10;
#else
inline constexpr std::size_t kRingPart = 64 << 10;
#endif

struct alignas(kLine) RingHeader {
  /// Everything below this position was taken. Published lazily: every quarter of the limit, when the consumer
  /// runs dry, and before it waits for anything.
  std::atomic<std::uint64_t> head{0};
  std::atomic<std::uint64_t> samples{0};  ///< of the frames below head, items per channel
  std::byte apart[2 * kLine - 16];        // a core may fetch lines in pairs
  /// The consumer has ended: what is put now stays. The producer looks at it while it waits, which must not cost it a
  /// line that the consumer writes all the time.
  std::atomic<std::uint32_t> gone{0};
  std::byte unused[kRingPart - 2 * kLine - sizeof(gone)];  // never touched

  std::uint64_t magic = kRingMagic;
  std::uint32_t version = kLayoutVersion;
  std::uint32_t slots = 0;  ///< a power of two
  std::uint32_t limit = 0;  ///< frames it holds at most, ≤ slots

  /// Position one past the last frame, once the producer has ended; kOpen before.
  alignas(kLine) std::atomic<std::uint64_t> closed_at{kOpen};
};
static_assert(sizeof(RingHeader) == kRingPart + 128 && std::is_standard_layout_v<RingHeader>);
static_assert(offsetof(RingHeader, gone) == 2 * kLine && offsetof(RingHeader, magic) == kRingPart &&
              offsetof(RingHeader, closed_at) == kRingPart + 64);

[[nodiscard]] constexpr std::size_t ring_slots(std::size_t limit) noexcept { return std::bit_ceil(limit); }
[[nodiscard]] constexpr std::size_t ring_bytes(std::size_t limit) noexcept {
  return sizeof(RingHeader) + ring_slots(limit) * sizeof(Slot);
}

/// A run of blocks of one size: `count` times { BlockHeader, payload of `stride - 64` bytes }, so far; only the lender
/// adds.
struct ArenaChunk {
  std::uint64_t offset = 0;
  std::uint64_t stride = 0;
  std::uint64_t count = 0;
};

struct alignas(kLine) ArenaHeader {
  static constexpr std::size_t kMaxChunks = 2048;
  std::uint64_t magic = kArenaMagic;
  std::uint32_t version = kLayoutVersion;
  std::uint32_t lane = 0;
  std::atomic<std::uint32_t> chunks{0};  ///< entries below are complete; only the lender adds
  alignas(kLine) ArenaChunk chunk[kMaxChunks];
};
static_assert(std::is_standard_layout_v<ArenaHeader>);

}  // namespace weir::shm
