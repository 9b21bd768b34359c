// The header in front of every payload block, and the 64-byte descriptor that names one. Both may lie in
// shared memory: trivially copyable, fixed in size, and never trusted by whoever reads them there.
//
// A block is returned by its count of shares reaching 0, wait-free and from any process; its lender finds it
// free the next time it comes round (shm/arena.hpp). Nothing is linked, so nothing can be half linked.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "weir/export.hpp"

namespace weir::detail {

/// Where a block lies, valid in every process that maps its segment: segment index in the top 16 bits, offset of
/// the BlockHeader in bytes below. 0 names no block.
using BlockRef = std::uint64_t;

struct alignas(64) BlockHeader {
  /// Shares held. Written by whoever copies or drops a frame; 0 hands the block back to its lender.
  std::atomic<std::uint32_t> shares{0};
  std::uint32_t lender = 0;    ///< lane that lent it, for accounting
  BlockRef ref = 0;            ///< its own place; 0 on the heap
  std::uint64_t capacity = 0;  ///< payload bytes behind the header
  /// Heap blocks and objects only; never called for a block that lies in shared memory.
  void (*destroy)(BlockHeader*) noexcept = nullptr;
  std::uint64_t spare[4] = {};

  [[nodiscard]] std::byte* payload() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};
static_assert(sizeof(BlockHeader) == 64 && std::is_standard_layout_v<BlockHeader>);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

enum class Payload : std::uint8_t {
  none,
  scalar,  ///< up to 16 bytes inside the descriptor
  block,   ///< items in an arena's block
  heap,    ///< items in a block of the process's heap
  object,  ///< any C++ object, by pointer; one process only
};

enum Flag : std::uint8_t {
  kEos = 1,
  kGap = 2,
  kMetadata = 4,
  kEncoded = 8,  ///< the block holds a Codec's encoding of one object of `type`
};
/// The upper half of the flags: size of a scalar in bytes, less 1.
constexpr int kScalarBytesShift = 4;

struct BlockItems {
  BlockRef ref;         ///< of a heap block or an object: its BlockHeader* instead
  std::uint32_t count;  ///< items; bytes if encoded
  std::uint32_t item_bytes;
};

/// One cache line: what travels through a ring.
struct Descriptor {
  /// In a ring slot the stamp (shm/ring.hpp). In a process the BlockHeader* of the payload, or null.
  std::uint64_t home = 0;
  std::uint64_t sequence = 0;
  std::int64_t time = 0;
  std::uint32_t origin = 0;  ///< when the source gave it, CLOCK_MONOTONIC in units of 64 ns, modulo 2^32; 0: not measured
  std::uint32_t type = 0;
  std::uint32_t rate = 0;
  std::uint16_t channels = 0;
  std::uint8_t flags = 0;
  Payload kind = Payload::none;
  /// In a process the BlockHeader* of the metadata object; between processes the BlockRef of its encoding.
  std::uint64_t metadata = 0;
  union {
    std::byte scalar[16] = {};
    BlockItems block;
  };
};
static_assert(sizeof(Descriptor) == 64 && std::is_trivially_copyable_v<Descriptor>);

/// to = from, but in words of 8 bytes. A descriptor is copied right after some of its fields were written; a wider
/// load would have to wait until those stores have left the store buffer, which costs more than the copy itself.
inline void copy_in_words(Descriptor& to, const Descriptor& from) noexcept {
  for (std::size_t at = 0; at < sizeof to; at += sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, reinterpret_cast<const std::byte*>(&from) + at, sizeof word);
#if defined(__GNUC__)
    asm("" : "+r"(word));  // in a register of its own: else the compiler joins words into vectors
#endif
    std::memcpy(reinterpret_cast<std::byte*>(&to) + at, &word, sizeof word);
  }
}

/// What the lane that runs on this thread lends blocks from; without one, the heap does.
class WEIR_API Lender {
 public:
  /// A block of at least `bytes` with one share. Throws MemoryError.
  virtual BlockHeader* lend(std::size_t bytes) = 0;

 protected:
  ~Lender() = default;
};
/// Sets the lender of this thread and returns the one before.
WEIR_API Lender* exchange_lender(Lender* lender) noexcept;
WEIR_API BlockHeader* lend_block(std::size_t bytes);
WEIR_API BlockHeader* lend_heap_block(std::size_t bytes);

}  // namespace weir::detail
