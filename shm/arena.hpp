// Arena: the memory that one lane lends payload blocks from.
//
// Only its lane lends, so lending takes no lock and no compare-and-swap. Anyone who holds a share may drop it,
// in any process: that is one atomic decrement, and reaching 0 is the whole return. The lender goes round the
// blocks of a size in a window that is as wide as is needed, and takes the first that has no shares.
//
// Every process maps the whole segment from the start, so that growing is to give pages to a part of it: nobody has to
// be told, and nothing is mapped or resized. lend() does so where no block is left, in small steps; prepare() does it
// ahead, when the lane has nothing to do; and what was prefaulted needs no page at all. In a steady state nothing calls
// the kernel. lend() throws MemoryError where the arena's limit or the system's memory is too small.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shm/layout.hpp"
#include "shm/segment.hpp"

namespace weir::shm {

class Arena final : public detail::Lender {
 public:
  /// Lends from a segment that create_arena made and nobody else lends from: what a lender before it, which is gone,
  /// has made is taken over. The segment has to outlive the arena. Its first `prefaulted` bytes have pages.
  Arena(const Segment& segment, std::uint32_t lane, std::size_t prefaulted = 0);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  detail::LentBlock lend(std::size_t bytes) override;
  /// For when the lane has nothing to do: if blocks of some size have run low, makes some more, as many as take
  /// 256 KiB or an eighth of what there is.
  void prepare() noexcept {
    if (low_) prepare_more();
  }
  [[nodiscard]] std::size_t blocks() const noexcept;
  /// What is lent from now on is noted as lent in this burst (engine/journal.hpp).
  void set_burst(std::uint64_t burst) noexcept { burst_ = burst; }

 private:
  struct SizeClass {
    std::vector<std::uint64_t> blocks;  // offsets of their headers
    std::size_t payload_bytes = 0;
    ArenaChunk chunk;                   // the newest
    ArenaChunk* entry = nullptr;        // of it in the table, for others to read
    std::size_t unmade = 0;             // blocks for which it has room
    std::size_t hand = 0;
    std::size_t window = 0;  // the hand goes round the first `window` blocks, so that few blocks stay warm
    std::size_t busy = 0;    // met in this round
  };
  [[nodiscard]] detail::BlockHeader* header_at(std::uint64_t offset) const noexcept {
    return segment_.at<detail::BlockHeader>(offset);
  }
  void take_over();
  void note_lending(detail::BlockHeader& block) noexcept;
  detail::BlockHeader* find_warm(SizeClass& size_class) noexcept;
  detail::BlockHeader* find_or_make(SizeClass& size_class);
  detail::BlockHeader* find_any(SizeClass& size_class) noexcept;
  [[nodiscard]] detail::BlockHeader* free_at(std::uint64_t offset) const noexcept;
  detail::BlockHeader* widen(SizeClass& size_class) noexcept;
  detail::BlockHeader* look(SizeClass& size_class, std::size_t looks) noexcept;
  void end_round(SizeClass& size_class) noexcept;
  void prepare_more() noexcept;
  void grow(SizeClass& size_class);
  void begin_chunk(SizeClass& size_class);

  const Segment& segment_;
  std::uint32_t lane_;
  std::uint64_t used_;       // bytes given to chunks
  std::uint32_t chunks_ = 0; // entries of the table that are used; what the table says others may have written over
  std::uint64_t prefaulted_; // bytes that need not be committed
  std::uint64_t burst_ = 0;  // 0: nobody keeps a journal
  SizeClass* low_ = nullptr; // one that had to use its last block
  std::vector<SizeClass> classes_;
};

/// A segment with an empty arena. `limit` bounds the payload bytes that it lends; memory is committed as it is
/// used. `lane` becomes the top of every BlockRef.
[[nodiscard]] Segment create_arena(Segment::Sharing sharing, std::size_t limit, std::uint32_t lane,
                                   PageKind pages = PageKind::normal);
/// Bytes of segment for an arena that lends up to `limit` bytes of payload.
[[nodiscard]] std::size_t arena_bytes(std::size_t limit) noexcept;
/// Blocks of an arena that somebody still has a share of; reads the segment's own tables, checked.
[[nodiscard]] std::size_t blocks_lent(const Segment& segment) noexcept;

/// Takes back the blocks that a lender who is dead, or undoes what it did, has lent in this burst.
void take_back_lent(const Segment& segment, std::uint64_t burst) noexcept;

/// Segment and offset ↔ BlockRef.
[[nodiscard]] constexpr detail::BlockRef make_ref(std::uint32_t lane, std::uint64_t offset) noexcept {
  return (static_cast<std::uint64_t>(lane) + 1) << 48 | offset;
}
[[nodiscard]] constexpr std::uint32_t lane_of(detail::BlockRef ref) noexcept {
  return static_cast<std::uint32_t>(ref >> 48) - 1;
}
[[nodiscard]] constexpr std::uint64_t offset_of(detail::BlockRef ref) noexcept { return ref & ((1ull << 48) - 64); }

/// Every arena that this process maps, by lane: turns a BlockRef from a ring into a pointer, checked.
class ArenaTable {
 public:
  void set(std::uint32_t lane, const Segment& segment);
  /// The block's header if `ref` names a place in a mapped arena with `bytes` of payload behind it, else null.
  [[nodiscard]] detail::BlockHeader* resolve(detail::BlockRef ref, std::uint64_t bytes) const noexcept {
    const std::uint32_t lane = lane_of(ref);
    if (lane >= views_.size()) return nullptr;
    const View view = views_[lane];
    const std::uint64_t offset = offset_of(ref);
    if (!detail::Shares::is_sound(ref) || offset < sizeof(ArenaHeader) || offset > view.bytes) return nullptr;
    const std::uint64_t room = view.bytes - offset;
    if (room < sizeof(detail::BlockHeader) || bytes > room - sizeof(detail::BlockHeader)) return nullptr;
    return reinterpret_cast<detail::BlockHeader*>(view.data + offset);
  }

 private:
  struct View {
    std::byte* data = nullptr;
    std::uint64_t bytes = 0;
  };
  std::vector<View> views_;
};

}  // namespace weir::shm
