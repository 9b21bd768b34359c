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

/// How many places ahead a ring's ends ask for lines. A producer: for those that it writes soon, one by one and in place. A
/// consumer: for those that it takes soon, where it does nothing else and where polls lie between. Further away than a core
/// has buffers for such requests is slower than not at all; those of AMD have 24 and more since Zen 3, others 10 to 16.
/// There, a producer that asks for the fifth place and more is slower where the cores are far apart (docs/bench.md).
struct LookAhead {
  std::size_t to_put = 6, to_publish = 6, to_take = 8, between_polls = 4;
};
#if defined(__x86_64__)
inline const LookAhead kLookAhead =
    __builtin_cpu_is("amd") ? LookAhead{.to_put = 4, .to_take = 16, .between_polls = 12} : LookAhead{};
#else
inline constexpr LookAhead kLookAhead;
#endif

/// Where a producer puts its next frame, here and in a queue inside a lane.
struct SlotWriter {
  Slot* slots = nullptr;
  std::uint64_t mask = 0;
  std::uint64_t pos = 0;    ///< of the next frame
  std::uint64_t until = 0;  ///< there is room for the frames below this position; whether for more has to be looked at
  std::uint64_t stamps = ~std::uint64_t{0};  ///< 0: frames are not stamped, somebody does that later (engine/journal.hpp)

  [[nodiscard]] bool has_room() const noexcept { return static_cast<std::int64_t>(until - pos) > 0; }
  [[nodiscard]] Slot& slot() const noexcept { return slots[pos & mask]; }
  /// Needs has_room(). Returns what that says now.
  bool put(const detail::Descriptor& frame) noexcept {
    Slot& next = slot();
    want_to_write(next, kLookAhead.to_put);
    const std::uint64_t after = pos + 1;  // each word is read once, before the copy: after it the compiler would do it again
    pos = after;
    const std::uint64_t stamp = after & stamps;
    detail::DescriptorCopy::all_but_home(next, frame);
    publish(next, stamp);
    return static_cast<std::int64_t>(until - after) > 0;
  }
  /// Puts a frame, but leaves slot() alone: it lies in `aside` until somebody lays it there and stamps it.
  void put_aside(const detail::Descriptor& frame, Slot& aside) noexcept {
    detail::DescriptorCopy::all_but_home(aside, frame);
    ++pos;
  }
  /// What lies in slot() is a frame.
  void publish() noexcept {
    Slot& next = slot();
    want_to_write(next, kLookAhead.to_publish);
    publish(next, ++pos & stamps);
  }

 private:
  /// Slots some places behind this one are written soon, and the consumer's core has them: a store to one keeps all
  /// stores behind it waiting until it has come. Behind the last slot it is of no use, and does no harm.
  static void want_to_write(const Slot& slot, std::size_t places) noexcept {
    const std::uintptr_t ahead = reinterpret_cast<std::uintptr_t>(&slot) + places * sizeof slot;
#if defined(__x86_64__)
    asm volatile("prefetchw (%0)" : : "r"(ahead));  // the compiler's own may be one for reading
#else
    __builtin_prefetch(reinterpret_cast<const void*>(ahead), 1);
#endif
  }
  static void publish(Slot& slot, std::uint64_t stamp) noexcept {
    // SYNC ring.publish (release): the frame is readable; pairs with the acquire in SlotReader.
    std::atomic_ref(slot.home).store(stamp, std::memory_order_release);
  }
};

/// Where a consumer takes its next frame.
struct SlotReader {
  const Slot* slots = nullptr;
  std::uint64_t mask = 0;
  std::uint64_t pos = 0;          ///< of the next frame
  std::uint64_t due = std::uint64_t{1} << 62;  ///< from this position on, what was taken has to be given back
  mutable std::uint64_t looks_ahead_from = 0;  ///< a position; a hint that is no part of the reader's state

  [[nodiscard]] const Slot& slot(std::uint64_t at) const noexcept { return slots[at & mask]; }
  [[nodiscard]] bool is_readable(std::uint64_t at) const noexcept { return holds(slot(at), at); }
  /// Whether the slot holds the frame of that position, which is one of its own.
  [[nodiscard]] static bool holds(const Slot& slot, std::uint64_t at) noexcept {
    // SYNC ring.publish (acquire): pairs with the release in SlotWriter; the slot's frame is complete.
    return std::atomic_ref(const_cast<Slot&>(slot).home).load(std::memory_order_acquire) == at + 1;
  }
  /// True when what was taken is to be given back.
  bool pop(std::size_t n = 1) noexcept { return pop_to(pos + n); }
  bool pop_to(std::uint64_t next) noexcept {
    pos = next;
    return static_cast<std::int64_t>(next - due) >= 0;
  }
  /// The slot of that position is about to be copied: the one so many places behind it is wanted soon, and on its way in
  /// time. Behind the last slot it is of no use, and does no harm.
  void look_ahead(const Slot& slot, std::uint64_t at, std::size_t places) const noexcept {
    if (at < looks_ahead_from) return;
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(&slot) + places * sizeof slot));
  }
  /// The queue was found empty. Close behind the producer, to look ahead takes away what that is about to write, so that
  /// it has to get it back, and the two stay close: for some frames nothing is asked for.
  void note_empty() const noexcept {
    const std::uint64_t from = pos + kCloseFor;
    if (looks_ahead_from != from) [[unlikely]] looks_ahead_from = from;  // who spins looks again and again
  }
  /// One frame was taken since the queue was found empty.
  [[nodiscard]] bool has_caught_up() const noexcept { return looks_ahead_from == pos - 1 + kCloseFor; }
  static constexpr std::uint64_t kCloseFor = 16;  ///< frames after it was empty a queue counts as close behind its producer
};

class RingWriter {
 public:
  RingWriter() = default;
  RingWriter(RingHeader* header, std::size_t limit) noexcept
      : header_(header), at_{reinterpret_cast<Slot*>(header + 1), ring_slots(limit) - 1, 0, limit}, limit_(limit) {}

  /// Whether a frame can be put; looks at the consumer's head only where the ring seems full.
  [[nodiscard]] bool has_room() noexcept {
    if (!at_.has_room()) look_at_head();
    return at_.has_room();
  }
  /// Puts a frame; needs has_room().
  void put(const detail::Descriptor& frame) noexcept { at_.put(frame); }
  /// The same, but for the frame itself (engine/journal.hpp).
  void put_aside(const detail::Descriptor& frame, Slot& aside) noexcept { at_.put_aside(frame, aside); }
  /// Slots for up to `n` frames in a row, to be filled in place, all but `home`; fewer where there is no room for more or
  /// the ring begins anew, none where it is full. What is not published was never put.
  [[nodiscard]] std::span<Slot> claim(std::size_t n) noexcept {
    if (at_.until - at_.pos < n) look_at_head();
    const std::uint64_t index = at_.pos & at_.mask;
    return {at_.slots + index, std::min({std::uint64_t{n}, at_.until - at_.pos, at_.mask + 1 - index})};
  }
  /// The first `n` of the claimed slots are readable from now on, in order.
  void publish(std::size_t n) noexcept {
    for (; n > 0; --n) at_.publish();
  }
  /// From now on put() lays frames where they will be readable once somebody has stamped them (engine/journal.hpp).
  void hold() noexcept { at_.stamps = 0; }
  /// Goes on at `pos`, where another writer has ended.
  void resume(std::uint64_t pos) noexcept {
    at_.pos = pos;
    look_at_head();
  }
  void close() noexcept {
    // SYNC ring.close (release): everything put before is readable by whoever sees the position.
    header_->closed_at.store(at_.pos, std::memory_order_release);
  }
  [[nodiscard]] bool consumer_gone() const noexcept {
    // relaxed: only a hint to give up; nothing is read on the strength of it
    return header_->gone.load(std::memory_order_relaxed) != 0;
  }
  /// The consumer's head, as it was seen last, says that it has taken what was never put.
  [[nodiscard]] bool is_broken() const noexcept { return at_.pos - head_seen_ > limit_; }
  [[nodiscard]] std::uint64_t produced() const noexcept { return at_.pos; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  [[nodiscard]] SlotWriter& at() noexcept { return at_; }
  [[nodiscard]] explicit operator bool() const noexcept { return header_ != nullptr; }

 private:
  void look_at_head() noexcept {
    // SYNC ring.release (acquire): the consumer has copied the frames below head, so their slots may be written.
    head_seen_ = header_->head.load(std::memory_order_acquire);
    // Another process may have written anything; what it can't have taken makes no room.
    at_.until = is_broken() ? at_.pos : head_seen_ + limit_;
  }

  RingHeader* header_ = nullptr;
  SlotWriter at_;
  std::uint64_t limit_ = 0;
  std::uint64_t head_seen_ = 0;
};

class RingReader {
 public:
  RingReader() = default;
  RingReader(RingHeader* header, std::size_t limit) noexcept
      : header_(header),
        limit_(limit),
        quantum_(limit < 4 ? 1 : limit / 4),
        at_{reinterpret_cast<const Slot*>(header + 1), ring_slots(limit) - 1, 0, quantum_} {}

  [[nodiscard]] bool has_frame() const noexcept {
    if (at_.is_readable(at_.pos)) return true;
    at_.note_empty();
    return false;
  }
  /// See SlotReader.
  [[nodiscard]] bool has_caught_up() const noexcept { return at_.has_caught_up(); }
  /// The next frame, in shared memory, to be copied; needs has_frame().
  [[nodiscard]] const detail::Descriptor& front() const noexcept {
    const Slot& slot = at_.slot(at_.pos);
    at_.look_ahead(slot, at_.pos, kLookAhead.to_take);
    return slot;
  }
  /// The next frames, up to `n`, in shared memory; fewer where no more are readable or the ring begins anew.
  [[nodiscard]] std::span<const Slot> peek(std::size_t n) const noexcept {
    const std::uint64_t index = at_.pos & at_.mask, most = std::min<std::uint64_t>(n, at_.mask + 1 - index);
    std::uint64_t count = 0;
    for (; count < most && at_.is_readable(at_.pos + count); ++count)
      at_.look_ahead(at_.slots[index + count], at_.pos + count, kLookAhead.to_take);
    if (count == 0) at_.note_empty();
    return {at_.slots + index, count};
  }
  /// The next `n` frames were copied. True when enough is taken for release() to be due.
  bool pop(std::size_t n = 1) noexcept { return at_.pop(n); }
  /// Copies out the next frame, with `home` 0: the stamp is not read again, as recovery may write one that a dead
  /// producer has damaged. Needs has_frame(). Returns what pop() does.
  bool take(detail::Descriptor& frame) noexcept {
    frame.home = 0;
    detail::DescriptorCopy::all_but_home(frame, front());
    return pop();
  }
  /// Gives the slots that were taken back to the producer; true if there were any. `samples`: in all that was taken.
  bool release(std::uint64_t samples = 0) noexcept { return release_below(at_.pos, samples); }
  /// The same, of those below a position that was taken; `samples` are in them.
  bool release_below(std::uint64_t below, std::uint64_t samples) noexcept {
    if (released_ == below) return false;
    released_ = below;
    at_.due = released_ + quantum_;
    header_->samples.store(samples, std::memory_order_relaxed);  // a figure for reports, no order needed
    // SYNC ring.release (release): the frames below are copied; pairs with the acquire in RingWriter::look_at_head.
    header_->head.store(below, std::memory_order_release);
    return true;
  }
  /// Goes on at `pos`, where another reader has ended; everything below was released.
  void resume(std::uint64_t pos) noexcept {
    at_.pos = released_ = pos;
    at_.due = released_ + quantum_;
  }
  /// The producer has ended and everything it put was taken.
  [[nodiscard]] bool drained() const noexcept {
    // SYNC ring.close (acquire): pairs with RingWriter::close; what was put before is visible, so equal means all.
    return header_->closed_at.load(std::memory_order_acquire) == at_.pos;
  }
  /// The producer says that it has ended elsewhere than where its frames do.
  [[nodiscard]] bool is_broken() const noexcept {
    // SYNC ring.close (acquire): pairs with RingWriter::close; what was put before is visible, so it is seen below.
    const std::uint64_t closed = header_->closed_at.load(std::memory_order_acquire);
    return closed != kOpen && closed != at_.pos && !has_frame();
  }
  void leave(std::uint64_t samples = 0) noexcept {
    release(samples);
    header_->gone.store(1, std::memory_order_relaxed);  // relaxed: see consumer_gone
  }
  /// Enough was taken for release().
  [[nodiscard]] bool is_due() const noexcept { return static_cast<std::int64_t>(at_.pos - at_.due) >= 0; }
  [[nodiscard]] std::uint64_t taken() const noexcept { return at_.pos; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  [[nodiscard]] std::size_t size_approx() const noexcept {
    std::size_t n = 0;
    while (n < limit_ && at_.is_readable(at_.pos + n)) ++n;
    return n;
  }
  [[nodiscard]] SlotReader& at() noexcept { return at_; }
  [[nodiscard]] explicit operator bool() const noexcept { return header_ != nullptr; }

 private:
  RingHeader* header_ = nullptr;
  std::uint64_t limit_ = 0;
  std::uint64_t quantum_ = 1;
  SlotReader at_;
  std::uint64_t released_ = 0;  // published head
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
