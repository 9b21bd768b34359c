// The ring: a bounded single-producer single-consumer queue of descriptors over private or shared memory.
//
// Each slot carries its own stamp in the line of its frame, so that a frame costs the consumer one cache line,
// not two. A slot of position p is readable once its stamp is p + 1; it may be written again once the consumer's
// published head has passed it. Positions are monotonic and 64 bit wide.
//
// One thread may use a writer, one a reader; each is a process-local view that keeps its own position, and
// nothing here blocks, allocates or throws. If the peer dies, the ring stays whole: a frame is either readable or
// was never put.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "shm/layout.hpp"

namespace weir::shm {

/// Makes an empty ring in zeroed memory of ring_bytes(limit).
inline RingHeader* create_ring(std::byte* memory, std::size_t limit) noexcept {
  auto* header = new (memory) RingHeader;
  header->slots = static_cast<std::uint32_t>(ring_slots(limit));
  header->limit = static_cast<std::uint32_t>(limit);
  return header;
}

/// Null if the memory holds no ring of this layout for `limit` frames. Whoever attaches knows the limit; what the
/// header says is only compared, once, as another process may write to it at any time.
[[nodiscard]] inline RingHeader* attach_ring(std::byte* memory, std::size_t bytes, std::size_t limit) noexcept {
  if (limit == 0 || bytes < ring_bytes(limit)) return nullptr;
  auto* header = reinterpret_cast<RingHeader*>(memory);
  const bool is_one = header->magic == kRingMagic && header->version == kLayoutVersion;
  return is_one && header->limit == limit && header->slots == ring_slots(limit) ? header : nullptr;
}

class RingWriter {
 public:
  RingWriter() = default;
  RingWriter(RingHeader* header, std::size_t limit) noexcept
      : header_(header), slots_(reinterpret_cast<Slot*>(header + 1)), mask_(ring_slots(limit) - 1), limit_(limit) {}

  /// Whether a frame can be put; looks at the consumer's head only where the ring seems full.
  [[nodiscard]] bool has_room() noexcept {
    if (pos_ - head_seen_ < limit_) return true;
    // SYNC ring.release (acquire): the consumer has copied the frames below head, so their slots may be written.
    head_seen_ = header_->head.load(std::memory_order_acquire);
    return pos_ - head_seen_ < limit_;
  }
  /// The same, without a look at the consumer's head: false if that has to be looked at.
  [[nodiscard]] bool has_known_room() const noexcept { return pos_ - head_seen_ < limit_; }
  /// Puts a frame; needs has_room().
  void put(const detail::Descriptor& frame) noexcept {
    Slot& slot = slots_[pos_ & mask_];
    detail::DescriptorCopy::all_but_home(slot, frame);
    // SYNC ring.publish (release): the frame is readable; pairs with the acquire in RingReader.
    std::atomic_ref(slot.home).store(++pos_, std::memory_order_release);
  }
  /// Slots for up to `n` frames in a row, to be filled in place, all but `home`; fewer where there is no room for more or
  /// the ring begins anew, none where it is full. What is not published was never put.
  [[nodiscard]] std::span<Slot> claim(std::size_t n) noexcept {
    if (pos_ + n - head_seen_ > limit_) head_seen_ = header_->head.load(std::memory_order_acquire);  // SYNC ring.release (acquire): as in has_room
    const std::uint64_t index = pos_ & mask_, used = pos_ - head_seen_;
    return {slots_ + index, std::min({std::uint64_t{n}, used < limit_ ? limit_ - used : 0, mask_ + 1 - index})};
  }
  /// The first `n` of the claimed slots are readable from now on, in order.
  void publish(std::size_t n) noexcept {
    for (; n > 0; --n) {
      Slot& slot = slots_[pos_ & mask_];
      // SYNC ring.publish (release): the frame is readable; pairs with the acquire in RingReader.
      std::atomic_ref(slot.home).store(++pos_, std::memory_order_release);
    }
  }
  /// Lays a frame where it will be readable once somebody has stamped it (engine/journal.hpp); needs has_room().
  void lay(const detail::Descriptor& frame) noexcept {
    detail::DescriptorCopy::all_but_home(slots_[pos_++ & mask_], frame);
  }
  /// Goes on at `pos`, where another writer has ended.
  void resume(std::uint64_t pos) noexcept {
    pos_ = pos;
    head_seen_ = header_->head.load(std::memory_order_acquire);  // SYNC ring.release (acquire): as in has_room
  }
  void close() noexcept {
    // SYNC ring.close (release): everything put before is readable by whoever sees the position.
    header_->closed_at.store(pos_, std::memory_order_release);
  }
  [[nodiscard]] bool consumer_gone() const noexcept {
    // relaxed: only a hint to give up; nothing is read on the strength of it
    return header_->gone.load(std::memory_order_relaxed) != 0;
  }
  /// The consumer's head, as has_room() saw it last, says that it has taken what was never put.
  [[nodiscard]] bool is_broken() const noexcept { return pos_ - head_seen_ > limit_; }
  [[nodiscard]] std::uint64_t produced() const noexcept { return pos_; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  [[nodiscard]] explicit operator bool() const noexcept { return header_ != nullptr; }

 private:
  RingHeader* header_ = nullptr;
  Slot* slots_ = nullptr;
  std::uint64_t mask_ = 0;
  std::uint64_t limit_ = 0;
  std::uint64_t pos_ = 0;        // of the next frame
  std::uint64_t head_seen_ = 0;  // the consumer's head when it was last looked at
};

class RingReader {
 public:
  RingReader() = default;
  RingReader(RingHeader* header, std::size_t limit) noexcept
      : header_(header),
        slots_(reinterpret_cast<const Slot*>(header + 1)),
        mask_(ring_slots(limit) - 1),
        limit_(limit),
        quantum_(limit < 4 ? 1 : limit / 4) {}

  [[nodiscard]] bool has_frame() const noexcept {
    // SYNC ring.publish (acquire): pairs with the release in RingWriter::put; the slot's frame is complete.
    return std::atomic_ref(const_cast<Slot&>(slots_[pos_ & mask_]).home).load(std::memory_order_acquire) == pos_ + 1;
  }
  /// The next frame, in shared memory; needs has_frame().
  [[nodiscard]] const detail::Descriptor& front() const noexcept { return slots_[pos_ & mask_]; }
  /// The next frames, up to `n`, in shared memory; fewer where no more are readable or the ring begins anew.
  [[nodiscard]] std::span<const Slot> peek(std::size_t n) const noexcept {
    const std::uint64_t index = pos_ & mask_, most = std::min<std::uint64_t>(n, mask_ + 1 - index);
    std::uint64_t count = 0;
    // SYNC ring.publish (acquire): pairs with the releases in RingWriter; these slots' frames are complete.
    while (count < most && std::atomic_ref(const_cast<Slot&>(slots_[index + count]).home)
                                   .load(std::memory_order_acquire) == pos_ + count + 1)
      ++count;
    return {slots_ + index, count};
  }
  /// The next `n` frames were copied. True when enough is taken for release() to be due.
  bool pop(std::size_t n = 1) noexcept { return (pos_ += n) - released_ >= quantum_; }
  /// Copies out the next frame; needs has_frame(). Returns what pop() does.
  bool take(detail::Descriptor& frame) noexcept {
    detail::DescriptorCopy::all(frame, front());
    return pop();
  }
  /// Gives the slots that were taken back to the producer; true if there were any.
  bool release() noexcept {
    if (released_ == pos_) return false;
    released_ = pos_;
    header_->samples.store(samples_, std::memory_order_relaxed);  // a figure for reports, no order needed
    // SYNC ring.release (release): the frames below are copied; pairs with the acquire in RingWriter::has_room.
    header_->head.store(pos_, std::memory_order_release);
    return true;
  }
  /// Goes on at `pos`, where another reader has ended; everything below was released.
  void resume(std::uint64_t pos) noexcept { pos_ = released_ = pos; }
  /// Everything taken was released by other means (engine/journal.hpp).
  void note_released() noexcept { released_ = pos_; }
  /// The producer has ended and everything it put was taken.
  [[nodiscard]] bool drained() const noexcept {
    // SYNC ring.close (acquire): pairs with RingWriter::close; what was put before is visible, so equal means all.
    return header_->closed_at.load(std::memory_order_acquire) == pos_;
  }
  /// The producer says that it has ended elsewhere than where its frames do.
  [[nodiscard]] bool is_broken() const noexcept {
    // SYNC ring.close (acquire): pairs with RingWriter::close; what was put before is visible, so it is seen below.
    const std::uint64_t closed = header_->closed_at.load(std::memory_order_acquire);
    return closed != kOpen && closed != pos_ && !has_frame();
  }
  void leave() noexcept {
    release();
    header_->gone.store(1, std::memory_order_relaxed);  // relaxed: see consumer_gone
  }
  void count_samples(std::uint64_t n) noexcept { samples_ += n; }
  [[nodiscard]] std::uint64_t taken() const noexcept { return pos_; }
  [[nodiscard]] std::uint64_t unreleased() const noexcept { return pos_ - released_; }
  [[nodiscard]] std::uint64_t samples() const noexcept { return samples_; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  [[nodiscard]] std::size_t size_approx() const noexcept {
    std::size_t n = 0;
    while (n < limit_ && std::atomic_ref(const_cast<Slot&>(slots_[(pos_ + n) & mask_]).home)
                                 .load(std::memory_order_relaxed) == pos_ + n + 1)
      ++n;  // relaxed: a count that may be stale
    return n;
  }
  [[nodiscard]] explicit operator bool() const noexcept { return header_ != nullptr; }

 private:
  RingHeader* header_ = nullptr;
  const Slot* slots_ = nullptr;
  std::uint64_t mask_ = 0;
  std::uint64_t limit_ = 0;
  std::uint64_t quantum_ = 1;
  std::uint64_t pos_ = 0;       // of the next frame
  std::uint64_t released_ = 0;  // published head
  std::uint64_t samples_ = 0;
};

/// For accounting after both ends are gone: how many frames were ever put, found from the stamps where the
/// producer could not close, or says what can't be.
[[nodiscard]] inline std::uint64_t frames_put(const RingHeader& header, std::size_t limit) noexcept {
  // SYNC ring.close (acquire), SYNC ring.release (acquire): both ends are gone; what they did last is visible
  const std::uint64_t closed = header.closed_at.load(std::memory_order_acquire);
  const std::uint64_t head = header.head.load(std::memory_order_acquire);
  if (closed != kOpen && closed - head <= limit) return closed;
  auto* slots = reinterpret_cast<Slot*>(const_cast<RingHeader*>(&header) + 1);
  std::uint64_t pos = head;
  // SYNC ring.publish (acquire): a frame whose stamp is there is whole
  while (pos - head < limit &&
         std::atomic_ref(slots[pos & (ring_slots(limit) - 1)].home).load(std::memory_order_acquire) == pos + 1)
    ++pos;
  return pos;
}

}  // namespace weir::shm
