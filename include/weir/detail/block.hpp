// The header in front of every payload block, and the 64-byte descriptor that names one. Both may lie in
// shared memory: trivially copyable, fixed in size, and never trusted by whoever reads them there.
//
// A block is returned by its last share being dropped, from any process, wait-free if that is a counted one; its lender
// finds it free the next time it comes round (shm/arena.hpp). Nothing is linked, so nothing can be half linked.
//
// Shares are counted, or marked. A counted share is one of many alike. A marked one is a bit of its own: to drop it
// twice does no more than to drop it once, so that a drop can be done again by whoever finds it noted down after a
// death (engine/journal.hpp). So no mark is given twice in one lending: the second would be dropped with the first.
// Frames on the way to a worker that may be restarted hold their blocks by marks.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>

#include "weir/export.hpp"

namespace weir::detail {

/// Where a block lies, valid in every process that maps its segment: segment index in the top 16 bits, offset of
/// the BlockHeader in bytes below, a multiple of 64. 0 names no block. In a frame the lowest 6 bits say how it holds its
/// share: 0 counted, else by mark, less 1.
using BlockRef = std::uint64_t;

/// The word of a block's shares: count (24 bits) | marks (16) | how often it was lent, modulo 2^24. In one word, so
/// that a drop that is done again is seen to be of another lending.
struct Shares {
  static constexpr std::uint64_t kCounted = 1;  ///< one counted share
  static constexpr unsigned kMarks = 16;
  static constexpr std::uint64_t kHeld = (std::uint64_t{1} << 40) - 1;     ///< count and marks: 0 if it is free
  static constexpr std::uint64_t kOneLending = std::uint64_t{1} << 40;
  [[nodiscard]] static constexpr std::uint64_t marked(unsigned mark) noexcept { return std::uint64_t{1} << (24 + mark); }
  /// The lowest mark that is not among those that were given; kMarks if all were.
  [[nodiscard]] static constexpr unsigned next_mark(std::uint32_t given) noexcept {
    return static_cast<unsigned>(std::countr_one(static_cast<std::uint16_t>(given)));
  }
  /// How a frame with this reference holds its share, as it stands in the word.
  [[nodiscard]] static constexpr std::uint64_t of(BlockRef ref) noexcept {
    const auto code = static_cast<unsigned>(ref & kCode);
    return code == 0 ? kCounted : marked(code - 1);
  }
  [[nodiscard]] static constexpr bool is_marked(BlockRef ref) noexcept { return (ref & kCode) != 0; }
  /// Whether it says one of the ways that there are.
  [[nodiscard]] static constexpr bool is_sound(BlockRef ref) noexcept { return (ref & kCode) <= kMarks; }
  [[nodiscard]] static constexpr BlockRef counted(BlockRef ref) noexcept { return ref & ~kCode; }
  [[nodiscard]] static constexpr BlockRef with_mark(BlockRef ref, unsigned mark) noexcept {
    return counted(ref) | (mark + 1);
  }
  [[nodiscard]] static constexpr bool same_lending(std::uint64_t a, std::uint64_t b) noexcept {
    return (a ^ b) < kOneLending;
  }

 private:
  static constexpr std::uint64_t kCode = 63;
};

struct alignas(64) BlockHeader {
  /// See Shares. Written by whoever copies or drops a frame; none held hands the block back to its lender. On the heap
  /// a plain count.
  std::atomic<std::uint64_t> shares{0};
  BlockRef ref = 0;            ///< its own place, for tests and debuggers: LentBlock is to be believed; 0 on the heap
  std::uint64_t capacity = 0;  ///< payload bytes behind the header
  /// Heap blocks and objects only; never called for a block that lies in shared memory.
  void (*destroy)(BlockHeader*) noexcept = nullptr;
  /// The burst of its lender's polls in which it was lent last (engine/journal.hpp); 0: it keeps no journal.
  std::atomic<std::uint64_t> lent_in{0};
  /// The marks that were given in this lending, whether or not they are still held.
  std::atomic<std::uint32_t> marks_given{0};
  std::uint32_t spare[5] = {};

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
/// The upper half of the flags: size of a scalar in bytes, less 1. Of a gap without data: whether it says what it
/// stands for (GapExtent), and whether its length is among that.
constexpr int kScalarBytesShift = 4;
inline constexpr std::uint8_t kGapExtent = 1 << kScalarBytesShift;
inline constexpr std::uint8_t kGapLength = 2 << kScalarBytesShift;

struct BlockItems {
  BlockRef ref;         ///< of a heap block or an object: its BlockHeader* instead
  std::uint32_t count;  ///< items; bytes if encoded
  std::uint32_t item_bytes;
};

struct GapExtent {
  std::uint64_t length;  ///< items per channel
  std::uint64_t frames;
};

/// One cache line: what travels through a ring. All zero: an empty frame.
struct Descriptor {
  /// In a ring slot the stamp (shm/ring.hpp). In a process the BlockHeader* of the payload, or null.
  std::uint64_t home;
  std::uint64_t sequence;
  std::int64_t time;
  std::uint32_t origin;  ///< when the source gave it, CLOCK_MONOTONIC in units of 64 ns, modulo 2^32; 0: not measured
  std::uint32_t type;
  std::uint32_t rate;
  std::uint16_t channels;
  std::uint8_t flags;
  Payload kind;
  /// In a process the BlockHeader* of the metadata object; between processes the BlockRef of its encoding.
  std::uint64_t metadata;
  union {
    std::byte scalar[16];
    BlockItems block;
    GapExtent gap;  ///< without data, with kGapExtent
  };
};
static_assert(sizeof(Descriptor) == 64 && std::is_trivial_v<Descriptor>);

/// Descriptors are copied right after some of their fields were written, and always in the same pieces: a load that is
/// wider than a store before it has to wait until that store has left the store buffer, which costs more than the copy;
/// and more pieces than needed cost the core that takes the line away. Pieces of 16 bytes are time to type and rate to
/// metadata, in which nothing is written by itself on the way; the others are words.
class DescriptorCopy {
 public:
  static void all(Descriptor& to, const Descriptor& from) noexcept {
    copy<std::uint64_t>(to, from, offsetof(Descriptor, home));
    all_but_home(to, from);
  }
  static void all_but_home(Descriptor& to, const Descriptor& from) noexcept {
    copy<std::uint64_t>(to, from, offsetof(Descriptor, sequence));
    copy<Pair>(to, from, offsetof(Descriptor, time));
    copy<Pair>(to, from, offsetof(Descriptor, rate));
    scalar(to, from);
  }
  /// A frame without block and metadata, of which the shape was looked at: what else `from` says of them is ignored.
  static void plain(Descriptor& to, const Descriptor& from, std::uint64_t shape) noexcept {
    to.home = 0;
    copy<std::uint64_t>(to, from, offsetof(Descriptor, sequence));
    copy<Pair>(to, from, offsetof(Descriptor, time));
    store(to, offsetof(Descriptor, rate), Pair{shape, 0});
    scalar(to, from);
  }
  /// A plain frame becomes one without data.
  static void clear_plain(Descriptor& d) noexcept {
    store(d, offsetof(Descriptor, origin), std::uint64_t{0});
    store(d, offsetof(Descriptor, rate), Pair{0, 0});
  }
  /// It has no share, no spec and no flag any more.
  static void clear(Descriptor& d) noexcept {
    d.home = 0;
    store(d, offsetof(Descriptor, origin), std::uint64_t{0});
    store(d, offsetof(Descriptor, rate), Pair{0, 0});
  }

 private:
#if defined(__GNUC__)
  using Pair = std::uint64_t __attribute__((vector_size(16)));
#else
  struct Pair {
    std::uint64_t low, high;
  };
#endif
  template <class Piece>
  static void store(Descriptor& to, std::size_t at, Piece piece) noexcept {
    in_one_piece(piece);
    std::memcpy(reinterpret_cast<std::byte*>(&to) + at, &piece, sizeof piece);
  }
  template <class Piece>
  static void copy(Descriptor& to, const Descriptor& from, std::size_t at) noexcept {
    Piece piece;
    std::memcpy(&piece, reinterpret_cast<const std::byte*>(&from) + at, sizeof piece);
    store(to, at, piece);
  }
  static void scalar(Descriptor& to, const Descriptor& from) noexcept {
    copy<std::uint64_t>(to, from, offsetof(Descriptor, scalar));
    copy<std::uint64_t>(to, from, offsetof(Descriptor, scalar) + sizeof(std::uint64_t));
  }
  // In a register of its own: else the compiler joins pieces, or splits them.
  static void in_one_piece([[maybe_unused]] std::uint64_t& word) noexcept {
#if defined(__GNUC__)
    asm("" : "+r"(word));
#endif
  }
  static void in_one_piece([[maybe_unused]] Pair& pair) noexcept {
#if defined(__GNUC__) && defined(__x86_64__)
    asm("" : "+x"(pair));
#elif defined(__GNUC__) && defined(__aarch64__)
    asm("" : "+w"(pair));
#endif
  }
};

/// Rate, channels, flags and kind in one word: frames of one shape are handled alike.
[[nodiscard]] inline std::uint64_t shape_of(const Descriptor& d) noexcept {
  std::uint64_t shape;
  std::memcpy(&shape, reinterpret_cast<const std::byte*>(&d) + offsetof(Descriptor, rate), sizeof shape);
  return shape;
}
static_assert(offsetof(Descriptor, metadata) == offsetof(Descriptor, rate) + 8);
/// The word of no frame, as no scalar has type 0; and of a plain one all the same, as a neighbour may write such a slot.
inline constexpr std::uint64_t kNoShape = std::uint64_t{static_cast<std::uint8_t>(Payload::scalar)} << 56 | 0xffff'ffff'ffff;
/// A scalar or nothing, neither the last frame nor with metadata: no share of anything travels with it.
[[nodiscard]] inline bool is_plain(const Descriptor& d) noexcept {
  static_assert(offsetof(Descriptor, kind) == offsetof(Descriptor, flags) + 1 && static_cast<int>(Payload::scalar) == 1);
  const unsigned flags_and_kind = d.flags | static_cast<unsigned>(d.kind) << 8;  // one load
  return (flags_and_kind & (kEos | kMetadata | kEncoded | 0xfe00u)) == 0;
}

/// A gap without data that says what it stands for.
[[nodiscard]] inline bool has_gap_extent(const Descriptor& d) noexcept {
  return d.kind == Payload::none && (d.flags & kGap) != 0 && (d.flags & kGapExtent) != 0;
}

/// For a frame to be made from.
struct PlainDescriptor {
  const Descriptor& from;  ///< is_plain, and may lie in shared memory: its shape is not read again
  std::uint64_t shape;
};

/// A block that was lent, and where it lies as its lender knows it: what the block's own header says may have been
/// written by any process.
struct LentBlock {
  BlockHeader* header = nullptr;
  BlockRef ref = 0;  ///< 0: on the heap
  operator BlockHeader*() const noexcept { return header; }
  BlockHeader* operator->() const noexcept { return header; }
  [[nodiscard]] Payload kind() const noexcept { return ref != 0 ? Payload::block : Payload::heap; }
  /// For a descriptor.
  [[nodiscard]] BlockRef place() const noexcept { return ref != 0 ? ref : reinterpret_cast<std::uintptr_t>(header); }
};

/// What the lane that runs on this thread lends blocks from; without one, the heap does.
class WEIR_API Lender {
 public:
  /// A block of at least `bytes` with one counted share. Throws MemoryError.
  virtual LentBlock lend(std::size_t bytes) = 0;
  /// Whether what this thread does takes effect later, all at once, or not at all: then a marked share is dropped by
  /// drop_later, its block is not written to, and a copy of its frame gets a block of its own.
  [[nodiscard]] virtual bool keeps_journal() const noexcept { return false; }
  virtual void drop_later(BlockHeader* block, BlockRef ref) noexcept;

 protected:
  ~Lender() = default;
};
/// Sets the lender of this thread and returns the one before.
WEIR_API Lender* exchange_lender(Lender* lender) noexcept;
/// The thread's lender, if it keeps a journal.
[[nodiscard]] WEIR_API Lender* journal_keeper() noexcept;
WEIR_API LentBlock lend_block(std::size_t bytes);
WEIR_API LentBlock lend_heap_block(std::size_t bytes);
/// Drops one share of an arena's block, the one that `ref` says.
WEIR_API void drop_share(BlockHeader* block, BlockRef ref) noexcept;
/// Makes a counted share a marked one, and says how it is held now; nothing, and nothing is done, if all marks were given.
[[nodiscard]] WEIR_API std::optional<BlockRef> mark_share(BlockHeader* block, BlockRef ref) noexcept;

}  // namespace weir::detail
