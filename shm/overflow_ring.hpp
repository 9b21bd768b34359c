// A ring whose producer never waits: what finds no room, or what has waited longest, is dropped, and a note beside the
// next frame says what is missing before it.
//
//   claim | OverflowHeader's rest | Slot × slots | GapNotes × slots
//
// Stamps, slots and the words of the RingHeader are those of a ring (shm/ring.hpp). The difference is that both sides
// take frames from the front: the consumer to have them, the producer to make room. Each does it by one compare and
// exchange of the claim word, which holds the position of the front: whoever moves it owns the frame that was there.
// Only the claim decides, so that a frame is taken by one of the two, whichever of them dies, and when.
//
// A frame that was displaced has to be told of by the note of the next one. The producer prepares that note before it
// moves the claim, in a place of its own (`displaced`), and the claim says which of the two notes counts: where the
// consumer was faster, the prepared one is never looked at, and nobody writes to a note or a slot that another may be
// reading. A slot is written again once its frame was displaced (its stamp is 0) or the consumer's head has passed it:
// the consumer may be copying it until then, if it is stopped there for as long as it likes. There are at least four
// slots more than frames; one is always kept for the frame that ends the stream.
//
// One thread may use a writer, one a reader; nothing here blocks, allocates or throws.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "shm/ring.hpp"

namespace weir::shm {

struct OverflowHeader {
  /// See Claim. Alone in its part of the memory, the one that both sides write (shm/ring_segment.hpp).
  alignas(kLine) std::atomic<std::uint64_t> claim{0};
  std::byte unused[kRingPart - sizeof(std::uint64_t)];  // never touched

  RingHeader ring;  ///< closed_at, head, gone and samples mean what they mean there; limit is the number of slots

  // Figures, written by the producer, read when it may be dead.
  alignas(kLine) std::atomic<std::uint64_t> refused{0};  ///< frames dropped before they had a position
  std::atomic<std::uint64_t> displaced{0};       ///< frames dropped after; the claim may be one ahead
  std::atomic<std::uint64_t> dropped_samples{0};  ///< of both, items per channel
};
static_assert(sizeof(OverflowHeader) == kRingPart + sizeof(RingHeader) + kLine);
static_assert(offsetof(OverflowHeader, ring) == kRingPart && std::is_standard_layout_v<OverflowHeader>);

/// The claim word: position of the front (48 bits) | how many frames were displaced, modulo 2^15 | whether the frame
/// before the front was. In one word, so that the accounts are exact at every moment.
struct Claim {
  std::uint64_t word = 0;
  static constexpr std::uint64_t kPositions = (std::uint64_t{1} << 48) - 1;
  static constexpr std::uint64_t kDisplacements = (1 << 15) - 1;
  /// That has these 48 bits, at or after `base`.
  [[nodiscard]] std::uint64_t position_after(std::uint64_t base) const noexcept {
    return base + ((word - base) & kPositions);
  }
  [[nodiscard]] std::uint64_t position_before(std::uint64_t base) const noexcept {
    return base - ((base - word) & kPositions);
  }
  [[nodiscard]] std::uint64_t displaced_after(std::uint64_t base) const noexcept {
    return base + (((word >> 48) - base) & kDisplacements);
  }
  /// Whether the position is as many frames on as these and the displaced ones together, as far as its bits say.
  [[nodiscard]] bool counts(std::uint64_t takes) const noexcept {
    return ((word - takes) & kDisplacements) == (word >> 48 & kDisplacements);
  }
  [[nodiscard]] bool follows_displaced() const noexcept { return word >> 63 != 0; }
  [[nodiscard]] std::uint64_t when_taken() const noexcept {
    return ((word + 1) & kPositions) | (word & (kDisplacements << 48));
  }
  [[nodiscard]] std::uint64_t when_displaced() const noexcept {
    return ((word + 1) & kPositions) | ((((word >> 48) + 1) & kDisplacements) << 48) | std::uint64_t{1} << 63;
  }
};

/// How often a claim that has moved is looked at again: it moves once for each frame, unless the other side's process
/// writes garbage, and that must not keep this one busy.
inline constexpr unsigned kMostRounds = 1000;

/// What is missing before a frame: gap frames, or all zero where nothing is.
struct GapNotes {
  detail::Descriptor own;        ///< before the frame came
  detail::Descriptor displaced;  ///< the same and all that was displaced before it
};

[[nodiscard]] constexpr std::size_t overflow_slots(std::size_t limit) noexcept { return std::bit_ceil(limit + 4); }
[[nodiscard]] constexpr std::size_t overflow_bytes(std::size_t limit) noexcept {
  return sizeof(OverflowHeader) + overflow_slots(limit) * (sizeof(Slot) + sizeof(GapNotes));
}

/// Makes an empty ring for `limit` frames in zeroed memory of overflow_bytes(limit).
inline OverflowHeader* create_overflow_ring(std::byte* memory, std::size_t limit) noexcept {
  auto* header = new (memory) OverflowHeader;
  header->ring.slots = header->ring.limit = static_cast<std::uint32_t>(overflow_slots(limit));
  return header;
}

/// Null if the memory holds none for `limit` frames.
[[nodiscard]] inline OverflowHeader* attach_overflow_ring(std::byte* memory, std::size_t bytes,
                                                          std::size_t limit) noexcept {
  if (limit == 0 || bytes < overflow_bytes(limit)) return nullptr;
  const RingHeader* ring = attach_ring(memory + kRingPart, bytes - kRingPart, overflow_slots(limit));
  return ring ? reinterpret_cast<OverflowHeader*>(memory) : nullptr;
}

/// Where everything lies.
class OverflowView {
 public:
  OverflowView(OverflowHeader* header, std::size_t limit) noexcept
      : header_(header),
        slots_(reinterpret_cast<Slot*>(header + 1)),
        notes_(reinterpret_cast<GapNotes*>(slots_ + overflow_slots(limit))),
        mask_(overflow_slots(limit) - 1) {}
  [[nodiscard]] OverflowHeader& header() const noexcept { return *header_; }
  [[nodiscard]] Slot& slot(std::uint64_t pos) const noexcept { return slots_[pos & mask_]; }
  [[nodiscard]] GapNotes& notes(std::uint64_t pos) const noexcept { return notes_[pos & mask_]; }
  [[nodiscard]] std::uint64_t slots() const noexcept { return mask_ + 1; }
  [[nodiscard]] bool is_readable(std::uint64_t pos) const noexcept {
    // SYNC ring.publish (acquire): pairs with the release in OverflowWriter::put; the frame and its note are complete
    return std::atomic_ref(slot(pos).home).load(std::memory_order_acquire) == pos + 1;
  }
  [[nodiscard]] Claim claim() const noexcept {
    // SYNC overflow.claim (acquire): the note of a frame that follows a displaced one is complete
    return {header_->claim.load(std::memory_order_acquire)};
  }

 private:
  OverflowHeader* header_;
  Slot* slots_;
  GapNotes* notes_;
  std::uint64_t mask_;
};

class OverflowWriter {
 public:
  OverflowWriter(OverflowHeader* header, std::size_t limit) noexcept : view_(header, limit) {}

  /// Frames that wait.
  [[nodiscard]] std::uint64_t queued() const noexcept { return pos_ - view_.claim().position_before(pos_); }
  /// There is a slot for a frame, one for the frame that ends the stream, and one for what is missing at the end.
  [[nodiscard]] bool has_slot() const noexcept { return is_free(pos_) && is_free(pos_ + 1) && is_free(pos_ + 2); }
  /// Puts a frame, and what is missing before it. Needs has_slot(), unless it ends the stream.
  void put(const detail::Descriptor& frame, const detail::Descriptor& note) noexcept {
    detail::DescriptorCopy::all(view_.notes(pos_).own, note);
    Slot& slot = view_.slot(pos_);
    detail::DescriptorCopy::all_but_home(slot, frame);
    // SYNC ring.publish (release): the frame and its note are readable; pairs with the acquire in OverflowView.
    std::atomic_ref(slot.home).store(++pos_, std::memory_order_release);
  }
  /// Displaces the frame that has waited longest, if more than `keep` wait; keep >= 1. Then the caller owns it, with
  /// all its shares. `add(note, frame)` adds what a frame, or a note, stands for to a note; done in vain where the
  /// consumer takes the frame meanwhile.
  template <class Add>
  bool displace(std::uint64_t keep, detail::Descriptor& frame, Add&& add) noexcept {
    for (unsigned round = 0; round < kMostRounds; ++round) {
      const Claim claim = view_.claim();
      const std::uint64_t front = claim.position_before(pos_);
      if (pos_ - front <= keep || pos_ - front > view_.slots()) return false;
      Slot& slot = view_.slot(front);
      const GapNotes &notes = view_.notes(front), &next = view_.notes(front + 1);
      detail::Descriptor note = claim.follows_displaced() ? notes.displaced : notes.own;
      add(note, slot);
      if (next.own.flags != 0) add(note, next.own);
      detail::DescriptorCopy::all(view_.notes(front + 1).displaced, note);
      detail::DescriptorCopy::all(frame, slot);
      std::uint64_t expected = claim.word;
      // SYNC overflow.claim (release): the note is complete; pairs with the acquire in OverflowView::claim.
      if (!view_.header().claim.compare_exchange_strong(expected, claim.when_displaced(), std::memory_order_release,
                                                        std::memory_order_relaxed))
        continue;  // relaxed: looked at again
      std::atomic_ref(slot.home).store(0, std::memory_order_relaxed);  // for has_slot(): the consumer is past it
      // SYNC overflow.displaced (release): the claim says as much; pairs with the acquire in account_of.
      view_.header().displaced.store(++displaced_, std::memory_order_release);
      return true;
    }
    return false;
  }
  /// A frame was dropped before it had a position: it counts from here on, whoever dies.
  void count_refused() noexcept { view_.header().refused.store(++refused_, std::memory_order_relaxed); }
  void count_dropped_samples(std::uint64_t n) noexcept {
    view_.header().dropped_samples.store(dropped_samples_ += n, std::memory_order_relaxed);
  }
  /// No frame follows; `note`: what is missing at the end.
  void close(const detail::Descriptor& note) noexcept {
    detail::DescriptorCopy::all(view_.notes(pos_).own, note);
    // SYNC ring.close (release): everything put before is readable by whoever sees the position, and the note.
    view_.header().ring.closed_at.store(pos_, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return refused_ + displaced_; }
  [[nodiscard]] std::uint64_t dropped_samples() const noexcept { return dropped_samples_; }

 private:
  [[nodiscard]] bool is_free(std::uint64_t pos) const noexcept {
    if (pos < view_.slots() || std::atomic_ref(view_.slot(pos).home).load(std::memory_order_relaxed) == 0)
      return true;  // relaxed: our own word
    // SYNC ring.release (acquire): the consumer has copied the frames below head, so their slots may be written.
    return view_.header().ring.head.load(std::memory_order_acquire) > pos - view_.slots();
  }
  OverflowView view_;
  std::uint64_t pos_ = 0;  // of the next frame
  std::uint64_t refused_ = 0, displaced_ = 0, dropped_samples_ = 0;
};

class OverflowReader {
 public:
  OverflowReader(OverflowHeader* header, std::size_t limit) noexcept : view_(header, limit) {}

  /// A frame is there to be taken, or the note at the end.
  [[nodiscard]] bool has_any() const noexcept {
    Claim claim = view_.claim();
    for (unsigned round = 0; round < kMostRounds; ++round) {
      if (!is_sound(claim)) return false;
      const std::uint64_t front = claim.position_after(taken_);
      if (view_.is_readable(front)) return true;
      const Claim again = view_.claim();
      if (again.word == claim.word) return has_last_note(front);
      claim = again;  // the front was displaced meanwhile
    }
    return false;
  }
  /// Takes the frame at the front, and the note of what is missing before it. False: there is none.
  bool take(detail::Descriptor& frame, detail::Descriptor& note, std::uint64_t samples_so_far) noexcept {
    Claim claim = view_.claim();
    for (unsigned round = 0; round < kMostRounds; ++round) {
      if (!is_sound(claim)) return false;
      const std::uint64_t front = claim.position_after(taken_);
      if (!view_.is_readable(front)) {
        const Claim again = view_.claim();
        if (again.word == claim.word) return false;
        claim = again;
        continue;
      }
      std::uint64_t expected = claim.word;
      // SYNC overflow.claim (acquire): as in OverflowView::claim, for the claim that is found instead
      if (!view_.header().claim.compare_exchange_strong(expected, claim.when_taken(), std::memory_order_acquire,
                                                        std::memory_order_acquire)) {
        claim.word = expected;
        continue;
      }
      detail::DescriptorCopy::all(frame, view_.slot(front));
      const GapNotes& notes = view_.notes(front);
      detail::DescriptorCopy::all(note, claim.follows_displaced() ? notes.displaced : notes.own);
      taken_ = front + 1;
      ++takes_;
      view_.header().ring.samples.store(samples_so_far, std::memory_order_relaxed);  // a figure for reports
      // SYNC ring.release (release): the frame is copied; pairs with the acquire in OverflowWriter::is_free.
      view_.header().ring.head.store(taken_, std::memory_order_release);
      return true;
    }
    return false;
  }
  /// Takes the note that the producer has left at the end, once everything else is taken.
  bool take_last_note(detail::Descriptor& note) noexcept {
    const std::uint64_t front = view_.claim().position_after(taken_);
    if (!has_last_note(front)) return false;
    detail::DescriptorCopy::all(note, view_.notes(front).own);
    had_last_note_ = true;
    return true;
  }
  [[nodiscard]] bool drained() const noexcept {
    const std::uint64_t front = view_.claim().position_after(taken_);
    return closed_at() == front && !has_last_note(front);
  }
  /// The claim has been written over, or the producer says that it has ended elsewhere than where its frames do.
  [[nodiscard]] bool is_broken() const noexcept {
    if (!is_sound(view_.claim())) return true;
    const std::uint64_t closed = closed_at();
    return closed != kOpen && closed != view_.claim().position_after(taken_) && !has_any();
  }
  [[nodiscard]] std::size_t queued_approx() const noexcept {
    std::size_t n = 0;
    for (std::uint64_t pos = view_.claim().position_after(taken_); n < view_.slots() && view_.is_readable(pos); ++pos) ++n;
    return n;
  }

 private:
  /// Each step of the claim is a frame that was taken here, or one that was displaced, and the claim counts those.
  [[nodiscard]] bool is_sound(Claim claim) const noexcept { return claim.counts(takes_); }
  [[nodiscard]] std::uint64_t closed_at() const noexcept {
    // SYNC ring.close (acquire): pairs with OverflowWriter::close; what was put before is visible.
    return view_.header().ring.closed_at.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool has_last_note(std::uint64_t front) const noexcept {
    return !had_last_note_ && closed_at() == front && view_.notes(front).own.flags != 0;
  }
  OverflowView view_;
  std::uint64_t taken_ = 0;  // one past the frame that was taken last
  std::uint64_t takes_ = 0;
  bool had_last_note_ = false;
};

/// What became of the frames. Exact when both ends are gone, in whatever way; while they go on, as of a moment ago.
struct OverflowAccount {
  std::uint64_t front = 0, put = 0;  ///< positions: what lies between is still there
  std::uint64_t refused = 0, displaced = 0, dropped_samples = 0;
  [[nodiscard]] std::uint64_t produced() const noexcept { return put + refused; }
  [[nodiscard]] std::uint64_t taken() const noexcept { return front - displaced; }
};
[[nodiscard]] inline OverflowAccount account_of(const OverflowView& view) noexcept {
  const OverflowHeader& header = view.header();
  // The figures say how often the claim's few bits have gone round. So they are read before it; and again, until they
  // stay the same, as it may go round meanwhile.
  std::uint64_t head = 0, displaced = 0;
  Claim claim;
  for (unsigned round = 0; round < kMostRounds; ++round) {
    // SYNC ring.release (acquire), SYNC overflow.displaced (acquire): the claim that is read below is no older
    head = header.ring.head.load(std::memory_order_acquire);
    displaced = header.displaced.load(std::memory_order_acquire);
    claim = view.claim();
    if (header.ring.head.load(std::memory_order_acquire) == head &&  // SYNC ring.release (acquire): as above
        header.displaced.load(std::memory_order_acquire) == displaced)  // SYNC overflow.displaced (acquire): as above
      break;
  }
  const std::uint64_t closed = header.ring.closed_at.load(std::memory_order_acquire);  // SYNC ring.close (acquire)
  const std::uint64_t front = claim.position_after(head);
  OverflowAccount account{.front = front,
                          .put = front,
                          .refused = header.refused.load(std::memory_order_relaxed),
                          .displaced = claim.displaced_after(displaced),
                          .dropped_samples = header.dropped_samples.load(std::memory_order_relaxed)};
  if (closed != kOpen && closed - front <= view.slots()) account.put = closed;
  else
    while (account.put - front < view.slots() && view.is_readable(account.put)) ++account.put;
  return account;
}

}  // namespace weir::shm
