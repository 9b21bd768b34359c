// Inlet: where a consumer takes frames from: a ring, or inside a lane a LocalQueue.
//
// Used by its lane's thread only. Nothing here waits: that is Lane's work (engine/lane.hpp).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/lane_spec.hpp"
#include "engine/local_queue.hpp"
#include "engine/pad_tally.hpp"
#include "engine/sink_meter.hpp"
#include "shm/arena.hpp"
#include "shm/doorbell.hpp"
#include "shm/ring.hpp"
#include "weir/frame.hpp"

namespace weir::engine {

class Lane;
class OverflowInlet;
class Task;
struct InletRecord;

class Inlet {
 public:
  Inlet(Lane& lane, const LinkEnd& end, LinkCounters& counters, shm::RingReader ring,
        LocalQueue* local, shm::Doorbell producer_bell, const shm::ArenaTable& arenas, SinkMeter meter)
      : lane_(&lane), end_(&end), counters_(&counters), ring_(ring), local_(local),
        from_(local ? &local->from() : &ring_.at()), producer_bell_(producer_bell), arenas_(&arenas), meter_(meter) {}
  Inlet(const Inlet&) = delete;
  Inlet& operator=(const Inlet&) = delete;
  /// Of a link with an overflow policy: what was taken from there lies in its hand, which stands for a local queue.
  void take_from(OverflowInlet& overflow) noexcept;

  /// A frame that is plain and of the shape of the one before, so that nothing has to be looked at.
  struct Everyday {
    shm::SlotReader* from;
    const shm::Slot* slot;  ///< null: the next frame is another, or there is none
    std::uint64_t pos, shape;
  };
  [[nodiscard]] Everyday everyday() const noexcept {
    const std::uint64_t pos = from_->pos, shape = tally_.everyday_shape();
    const shm::Slot& next = from_->slot(pos);
    return {from_, shm::SlotReader::holds(next, pos) && tally_.is_everyday(next, shape) ? &next : nullptr, pos, shape};
  }
  /// Takes it.
  std::optional<Frame> take(const Everyday& next) {
    next.from->look_ahead(*next.slot, next.pos, shm::kLookAhead.between_polls);
    std::optional<Frame> frame(std::in_place, detail::PlainDescriptor{*next.slot, next.shape});
    tally_.count_everyday();
    if (meter_.header) meter_.count_everyday();
    if (next.from->pop_to(next.pos + 1)) release();
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
    bool due = false;
    if (local_) {
      if (overflow_ && !local_->has_frame()) return take_overflow(frame);
      local_->take(frame);
    } else {
      due = ring_.take(d);
      if (d.kind > detail::Payload::scalar || d.metadata != 0 || (d.flags & (detail::kMetadata | detail::kEncoded)))
        import(d);
    }
    account(d);
    if (due) release();  // what it says of samples is of this frame as well
    return true;
  }
  /// The same where a frame was there or nothing comes any more: then the frame is an end of stream, as others go on.
  /// Throws PayloadError if what was there has gone: a neighbour has damaged the queue.
  void take_or_end(Frame& frame);
  /// Takes a frame that nobody asked for any more; it counts as left, not as delivered.
  bool discard();
  [[nodiscard]] bool has_frame() const noexcept {
    return local_ ? local_->has_frame() || (overflow_ && has_overflow()) : ring_.has_frame();
  }
  /// The last frame was waited for. To look whether there is another would cost as much as a frame's way between two cores,
  /// as the producer has its hands on that slot.
  [[nodiscard]] bool has_caught_up() const noexcept { return !local_ && ring_.has_caught_up(); }
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
    if (!local_ && ring_.release(tally_.samples())) producer_bell_.ring();
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
  [[nodiscard]] const std::uint64_t& taken() const noexcept { return tally_.frames(); }
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
  [[noreturn]] void throw_broken_here() const;
  void account(const detail::Descriptor& d);
  Lane* lane_;
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
  std::uint64_t discarded_ = 0;
  std::uint64_t waits_ = 0;  // that found it empty
  bool at_eos_ = false;
  bool held_ = false;
};

}  // namespace weir::engine
