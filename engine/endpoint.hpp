// Inlet and Outlet: where a consumer takes frames from and a producer puts them. An inlet has one link; an outlet
// has one for each sink pad that its source pad feeds. A link between two lanes is a ring; one inside a lane is a
// LocalQueue, and no atomic is touched.
//
// Used by their lane's thread only. Nothing here waits: that is Lane's work (engine/lane.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/control.hpp"
#include "engine/pad_tally.hpp"
#include "shm/arena.hpp"
#include "shm/doorbell.hpp"
#include "shm/ring.hpp"
#include "weir/frame.hpp"

namespace weir::engine {

class Lane;
class OverflowInlet;
class OverflowOutlet;
class Task;
struct InletRecord;
struct OutletRecord;
struct LinkRecord;

/// A queue inside a lane. What one poll puts is always taken, even beyond the limit: the lane does not poll a
/// producer whose queue is full, so it holds at most the limit and one poll's output.
class LocalQueue {
 public:
  explicit LocalQueue(std::size_t limit);
  ~LocalQueue();
  LocalQueue(const LocalQueue&) = delete;
  LocalQueue& operator=(const LocalQueue&) = delete;
  [[nodiscard]] bool has_room() noexcept {
    look_at_reader();
    return size() < limit_;
  }
  [[nodiscard]] bool has_frame() const noexcept { return to_.pos != from_.pos; }
  [[nodiscard]] std::size_t size() const noexcept { return to_.pos - from_.pos; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  void put(Frame&& frame) {
    if (size() > to_.mask) [[unlikely]] grow();
    const detail::Descriptor& d = detail::FrameAccess::descriptor(frame);
    detail::DescriptorCopy::all(to_.slot(), d);
    if (d.kind > detail::Payload::scalar) ++to_.pos;  // the payload's share lies where the stamp would
    else to_.publish();
    detail::FrameAccess::forget(frame);
  }
  [[nodiscard]] const detail::Descriptor& front() const noexcept { return from_.slot(from_.pos); }
  /// The next frame was copied.
  void pop() noexcept { ++from_.pos; }
  /// Into an empty frame.
  void take(Frame& frame) noexcept {
    detail::Descriptor& d = detail::FrameAccess::descriptor(frame);
    detail::DescriptorCopy::all(d, front());
    if (d.kind <= detail::Payload::scalar) d.home = 0;
    pop();
  }
  void close() noexcept { closed_ = true; }
  [[nodiscard]] bool drained() const noexcept { return closed_ && !has_frame(); }
  void leave() noexcept {
    gone_ = true;
    to_.until = to_.pos;
  }
  [[nodiscard]] bool consumer_gone() const noexcept { return gone_; }
  [[nodiscard]] std::uint64_t produced() const noexcept { return to_.pos; }
  [[nodiscard]] shm::SlotWriter& to() noexcept { return to_; }
  [[nodiscard]] shm::SlotReader& from() noexcept { return from_; }

 private:
  void grow();
  void look_at_reader() noexcept {
    if (!gone_) to_.until = from_.pos + std::min<std::uint64_t>(to_.mask + 1, limit_);
  }
  std::unique_ptr<detail::Descriptor[]> slots_;  // own the shares of the frames that were put
  std::size_t capacity_;   // slots there are, a power of two; few are in use, as long as few are needed, so that they
                           // stay in the cache
  shm::SlotWriter to_;
  shm::SlotReader from_;
  std::size_t limit_;
  bool closed_ = false, gone_ = false;
};

/// Marks an end as what its lane waits for, as long as it lives.
class Awaiting {
 public:
  explicit Awaiting(bool& mark) noexcept : mark_(mark) { mark_ = true; }
  ~Awaiting() { mark_ = false; }
  Awaiting(const Awaiting&) = delete;
  Awaiting& operator=(const Awaiting&) = delete;

 private:
  bool& mark_;
};

/// What a sink counts, in its lane's control block.
struct SinkMeter {
  ControlHeader* header = nullptr;  ///< null: not a sink
  bool latency = false;
  void count(const detail::Descriptor& frame) const noexcept;
  /// A frame that is like the one before.
  void count_everyday() const noexcept {
    header->sink_frames.store(header->sink_frames.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

class Inlet {
 public:
  /// `progress` counts what the lane's queues have taken and put.
  Inlet(Lane& lane, std::uint64_t& progress, const LinkEnd& end, LinkCounters& counters, shm::RingReader ring,
        LocalQueue* local, shm::Doorbell producer_bell, const shm::ArenaTable& arenas, SinkMeter meter)
      : lane_(&lane), progress_(&progress), end_(&end), counters_(&counters), ring_(ring), local_(local),
        from_(local ? &local->from() : &ring_.at()), producer_bell_(producer_bell), arenas_(&arenas), meter_(meter) {}
  Inlet(const Inlet&) = delete;
  Inlet& operator=(const Inlet&) = delete;
  /// Of a link with an overflow policy: what was taken from there lies in its hand, which stands for a local queue.
  void take_from(OverflowInlet& overflow) noexcept;

  /// The next frame if it is plain and of the shape of the one before, so that nothing has to be looked at; else null.
  [[nodiscard]] const detail::Descriptor* everyday() const noexcept {
    const shm::Slot& next = from_->slot(from_->pos);
    return shm::SlotReader::holds(next, from_->pos) && tally_.is_everyday(next) ? &next : nullptr;
  }
  /// Takes it.
  std::optional<Frame> take_everyday(const detail::Descriptor& next) {
    std::optional<Frame> frame(std::in_place, detail::PlainDescriptor{next, tally_.everyday_shape()});
    tally_.count_everyday();
    if (meter_.header) meter_.count_everyday();
    ++*progress_;
    if (from_->pop()) release();
    return frame;
  }
  /// Takes the next frame into an empty one. Throws SpecError, PayloadError; then the frame is lost to the consumer
  /// and counts as delivered.
  bool try_take(Frame& frame) {
    if (!has_frame()) {
      release();
      return false;
    }
    detail::Descriptor& d = detail::FrameAccess::descriptor(frame);
    if (local_) {
      if (overflow_ && !local_->has_frame()) return take_overflow(frame);
      local_->take(frame);
    } else {
      const bool due = ring_.take(d);
      d.home = 0;
      if (d.kind > detail::Payload::scalar || d.metadata != 0 || (d.flags & (detail::kMetadata | detail::kEncoded)))
        import(d);
      if (due) release();
    }
    account(d);
    return true;
  }
  /// Takes a frame that nobody asked for any more; it counts as left, not as delivered.
  bool discard();
  [[nodiscard]] bool has_frame() const noexcept {
    return local_ ? local_->has_frame() || (overflow_ && has_overflow()) : ring_.has_frame();
  }
  /// Nothing will ever come any more: EOS was taken, or the producer has ended. An element may say more to its
  /// worker after EOS, as long as it has not shut it down.
  [[nodiscard]] bool drained() const noexcept { return (at_eos_ && !end_->by_hand) || closed(); }
  [[nodiscard]] bool fed_by_hand() const noexcept { return end_->by_hand; }
  /// The producer has ended without EOS on a link that needs it: it failed, and the run is about to stop.
  [[nodiscard]] bool broken() const noexcept { return !at_eos_ && !end_->by_hand && closed(); }
  [[nodiscard]] std::size_t size_approx() const noexcept;
  [[nodiscard]] std::size_t limit() const noexcept { return local_ ? local_->limit() : ring_.limit(); }
  /// Gives taken slots back, so that a producer that waits for room goes on. Where the lane keeps a journal, those
  /// whose taking is committed.
  void release() noexcept {
    if (held_) return release_committed();
    if (!local_ && ring_.release()) producer_bell_.ring();
  }
  // For the lane's journal.
  void hold() noexcept { held_ = true; }
  /// What is taken from now on is claimed there first; null: it is not.
  void claim_in(std::atomic<std::uint64_t>* claim) noexcept {
    claim_ = claim;
    if (claim_) tally_.forget_everyday();  // each frame is looked at
  }
  void resume(const InletRecord& record) noexcept;
  void note_in(InletRecord& record) const noexcept;
  void committed() noexcept {
    committed_ = {ring_.taken(), tally_.samples()};
    if (ring_.is_due()) release_committed();
  }
  /// Throws Error where a poll would wait for more than its queue can hold until it ends.
  void refuse_too_much() const;
  /// Throws PayloadError where nothing will come any more, though the producer has not ended as it should.
  void refuse_broken() const;
  /// The consumer has ended: what is queued, and what still comes, stays.
  void leave() noexcept;
  /// The lane is about to wait: counts if this is what it may wait for.
  void note_wait() noexcept { waits_ += !has_frame() && !drained(); }
  /// The lane parks: tells whether this is what it waits for.
  void tell_awaited() noexcept {
    counters_->awaits_frame.store(awaited && !has_frame() && !drained(), std::memory_order_relaxed);
  }
  void publish_counters() noexcept;

  [[nodiscard]] bool is_local() const noexcept { return end_->inside_lane(); }
  [[nodiscard]] std::uint64_t taken() const noexcept { return tally_.frames(); }
  [[nodiscard]] bool at_eos() const noexcept { return at_eos_; }
  [[nodiscard]] const std::string& pad() const noexcept { return end_->sink; }
  [[nodiscard]] Lane& lane() const noexcept { return *lane_; }

  const std::atomic<std::uint32_t>* stop = nullptr;  ///< the worker's; null: only the lane's
  const Task* worker = nullptr;  ///< whose queue it is; null: the main lane's
  std::uint32_t* origin = nullptr;  ///< where the origin of the last frame is kept; null: nobody measures
  bool wanted = false;        ///< the last poll found it empty
  bool awaited = false;       ///< the lane waits for a frame here
  bool element_side = false;  ///< the end of an element's queue to its worker: waits even on a shared lane
  bool for_source = false;    ///< a source worker's commands: a request to end the stream ends its waits

 private:
  [[nodiscard]] bool closed() const noexcept {
    return local_ ? (overflow_ ? overflow_drained() : local_->drained()) : ring_.drained();
  }
  [[nodiscard]] bool has_overflow() const noexcept;
  [[nodiscard]] bool overflow_drained() const noexcept;
  bool take_overflow(Frame& frame);
  bool discard_overflow();
  void import(detail::Descriptor& frame);
  void release_committed() noexcept;
  void note_eos() noexcept;
  void claim() const noexcept;
  void account(const detail::Descriptor& d);
  Lane* lane_;
  std::uint64_t* progress_;
  const LinkEnd* end_;
  LinkCounters* counters_;
  shm::RingReader ring_;
  LocalQueue* local_;
  shm::SlotReader* from_;  // of either
  OverflowInlet* overflow_ = nullptr;  // of a link with a policy; then local_ is its hand
  shm::Doorbell producer_bell_;
  const shm::ArenaTable* arenas_;
  SinkMeter meter_;
  PadTally tally_;
  std::atomic<std::uint64_t>* claim_ = nullptr;  // in the journal
  struct {
    std::uint64_t position = 0, samples = 0;
  } committed_;             // what may be released, where there is a journal
  std::uint64_t lost_ = 0;  // to it, before this process
  std::uint64_t discarded_ = 0;
  std::uint64_t waits_ = 0;  // that found it empty
  bool at_eos_ = false;
  bool held_ = false;
};

class Outlet {
 public:
  struct Link {
    const LinkEnd* end;
    LinkCounters* counters;
    shm::RingWriter ring;
    LocalQueue* local;
    shm::Doorbell consumer_bell;
    OverflowOutlet* overflow = nullptr;  // of a link with a policy; then of `ring` only consumer_gone() means something
    std::uint64_t committed = 0;  // position one past what the consumer may see; of a lane that keeps a journal
    std::uint64_t copies = 0;
    std::uint64_t dropped = 0;  // put after the consumer had ended
    std::uint64_t waits = 0;    // of the lane, that found it full
    [[nodiscard]] bool gone() const noexcept { return local ? local->consumer_gone() : ring.consumer_gone(); }
    [[nodiscard]] bool has_room() noexcept {
      return (local ? local->has_room() : ring.has_room()) || gone();
    }
  };

  /// `progress` as for Inlet.
  Outlet(Lane& lane, std::uint64_t& progress, std::vector<Link> links, std::string pad, const shm::ArenaTable& arenas,
         bool from_source, bool measure);

  /// All links have room, or a backlog waits that has to go first.
  [[nodiscard]] bool has_room() noexcept {
    if (everyday_) return everyday_->has_room() || only_->has_room();
    if (!backlog_.empty()) return false;
    for (Link& link : links_)
      if (!link.has_room()) return false;
    return true;
  }
  /// Puts a plain frame where nothing has to be looked at: one link, room known of. False: nothing was done. Where there
  /// is no room for another, the lane's attention is asked for.
  bool put_everyday(Frame& frame) {
    shm::SlotWriter* const to = everyday_;
    detail::Descriptor& d = detail::FrameAccess::descriptor(frame);
    if (!to || !detail::is_plain(d) || !to->has_room()) return false;
    if (from_source_) d.sequence = given_;
    else if (origin && d.origin == 0) d.origin = *origin;
    ++given_;
    to->put(d);
    detail::DescriptorCopy::clear_plain(d);
    ++*progress_;
    if (only_->consumer_bell.is_awaited() || !to->has_room()) [[unlikely]] follow_up();
    return true;
  }
  /// Puts the frame on all links; needs has_room(). Throws PayloadError if it can't cross; then nothing was put.
  void put(Frame&& frame) {
    if (!put_everyday(frame)) put_any(std::move(frame));
  }
  /// Takes a frame that has no room yet; flush_backlog() puts it later.
  void put_later(Frame&& frame);
  /// The same, after what waits was put as far as there is room for it.
  [[nodiscard]] bool make_room() { return has_room() || (has_backlog() && flush_backlog() && has_room()); }
  /// True once nothing waits.
  bool flush_backlog();
  [[nodiscard]] bool has_backlog() const noexcept { return !backlog_.empty(); }
  /// As many frames wait for room as the queue itself holds.
  [[nodiscard]] bool backlog_is_long() const noexcept { return backlog_.size() >= limit(); }
  /// No frame follows: the caller has given EOS or gives up. What still waits is dropped, and counted.
  void close() noexcept;

  [[nodiscard]] bool eos_put() const noexcept { return eos_put_; }
  [[nodiscard]] bool eos_queued() const noexcept { return eos_queued_ || eos_put_; }
  /// Every consumer has ended.
  [[nodiscard]] bool abandoned() const noexcept;
  [[nodiscard]] bool is_local() const noexcept { return all_local_; }
  [[nodiscard]] std::size_t limit() const noexcept { return links_.empty() ? 0 : links_.front().end->capacity; }
  [[nodiscard]] std::uint64_t given() const noexcept { return given_; }
  [[nodiscard]] const std::string& pad() const noexcept { return pad_; }
  [[nodiscard]] Lane& lane() const noexcept { return *lane_; }
  /// The lane is about to wait: counts the links that it may wait for.
  void note_wait() noexcept {
    for (Link& link : links_) link.waits += !closed_ && !link.has_room();
  }
  /// The lane parks: tells which links it waits for; true if there are any.
  bool tell_awaited() noexcept {
    bool any = false;
    for (Link& link : links_) {
      const bool here = awaited && !closed_ && !link.has_room();
      link.counters->awaits_room.store(here, std::memory_order_relaxed);
      any |= here;
    }
    return any;
  }
  void publish_counters() noexcept;
  // For the lane's journal. What is put becomes readable when it says so.
  void hold() noexcept {
    held_ = true;
    for (Link& link : links_) link.ring.hold();
    find_everyday();
  }
  [[nodiscard]] std::size_t links() const noexcept { return links_.size(); }
  void resume(const OutletRecord& record, std::span<const LinkRecord> links) noexcept;
  void note_in(OutletRecord& record, std::span<LinkRecord> links) const noexcept;
  void committed() noexcept {
    for (Link& link : links_) {
      link.committed = link.ring.produced();
      link.consumer_bell.ring();
    }
  }
  /// Throws Error where a poll would wait for room that only its own end can make.
  void refuse_too_much() const;
  /// Throws PayloadError where room will never come, as the consumer says that it has taken what was never put.
  void refuse_broken() const;
  const std::atomic<std::uint32_t>* stop = nullptr;  ///< the worker's; null: only the lane's
  std::atomic<std::uint32_t>* eos_count = nullptr;   ///< the worker's count of pads that have given EOS
  std::uint32_t* origin = nullptr;  ///< of the last frame that its element took, for frames that have none
  bool overfull = false;      ///< a link that never waits has no more room: its consumer should have a turn
  bool wanted = false;        ///< the last poll found it full
  bool awaited = false;       ///< the lane waits for room here
  bool element_side = false;  ///< the end of an element's queue to its worker: waits even on a shared lane
  bool puts_later = false;    ///< never waits: what frees it may need this lane

 private:
  void put_any(Frame&& frame);
  void put_on(Link& link, Frame&& frame, const detail::LentBlock& metadata);
  void put_in_ring(Link& link, const detail::Descriptor& frame) noexcept;
  void note_overfull() noexcept;
  static void mark(Frame& frame, Link& link);
  [[noreturn]] void throw_after_eos() const;
  void find_everyday() noexcept;
  /// After an everyday put: wakes the consumer, and sees whether there is room for another.
  void follow_up() noexcept;
  void describe(detail::Descriptor& d) noexcept {
    if (from_source_) stamp(d);
    else if (origin && d.origin == 0) d.origin = *origin;
    ++given_;
  }
  void stamp(detail::Descriptor& d) noexcept;
  [[nodiscard]] bool must_change(const Frame& frame, const Link& link) const noexcept;
  static void make_crossable(Frame& frame, const Link& link);
  static void encode_object(Frame& frame, const Link& link);
  static void copy_into_arena(Frame& frame);

  Lane* lane_;
  std::uint64_t* progress_;
  std::vector<Link> links_;
  Link* only_ = nullptr;      // where there is one
  shm::SlotWriter* everyday_ = nullptr;  // the same one's, as long as nothing else has to be looked at to put a frame
  std::string pad_;
  const shm::ArenaTable* arenas_;
  std::deque<Frame> backlog_;
  std::uint64_t given_ = 0;
  bool from_source_, measure_;
  bool all_local_ = true, any_crossing_ = false, any_overflow_ = false;
  bool eos_put_ = false, eos_queued_ = false, closed_ = false;
  bool held_ = false;
};

/// CLOCK_MONOTONIC in units of 64 ns, modulo 2^32, never 0: what latency is measured with.
[[nodiscard]] std::uint32_t origin_now() noexcept;
[[nodiscard]] std::uint64_t monotonic_ns() noexcept;

}  // namespace weir::engine
