// Outlet: where a producer puts frames: a ring, or inside a lane a LocalQueue, for each sink pad that its source pad
// feeds.
//
// Used by its lane's thread only. Nothing here waits: that is Lane's work (engine/lane.hpp).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/control.hpp"
#include "engine/lane_spec.hpp"
#include "engine/local_queue.hpp"
#include "shm/arena.hpp"
#include "shm/doorbell.hpp"
#include "shm/ring.hpp"
#include "weir/frame.hpp"

namespace weir::engine {

class Lane;
class OverflowOutlet;
struct OutletRecord;
struct LinkRecord;

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
    /// The next frame is the first since the last commit.
    [[nodiscard]] bool is_at_commit() const noexcept { return ring.produced() == committed; }
    [[nodiscard]] bool has_room() noexcept {
      return (local ? local->has_room() : ring.has_room()) || gone();
    }
  };

  Outlet(Lane& lane, std::vector<Link> links, std::string pad, const shm::ArenaTable& arenas, bool from_source,
         bool measure);

  /// All links have room, or a backlog waits that has to go first.
  [[nodiscard]] bool has_room() noexcept {
    if (everyday_) return true;
    if (!backlog_.empty()) return false;
    for (Link& link : links_)
      if (!link.has_room()) return false;
    find_everyday();
    return true;
  }
  /// Puts a plain frame where nothing has to be looked at: one link, room known of. False: nothing was done. Where there
  /// is no room for another, the lane's attention is asked for.
  bool put_everyday(Frame& frame) {
    shm::SlotWriter* const to = everyday_;
    detail::Descriptor& d = detail::FrameAccess::descriptor(frame);
    if (!to || !detail::is_plain(d)) return false;
    if (describes_) describe(d);
    ++given_;
    const bool more = to->put(d);
    detail::DescriptorCopy::clear_plain(d);
    if (!more || shm::Doorbell::is_awaited(*bell_sign_)) [[unlikely]] follow_up();
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
  [[nodiscard]] const std::uint64_t& given() const noexcept { return given_; }
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
  // For the lane's journal. What is put becomes readable when it says so. `first_record`: its first link's number there.
  void hold(std::size_t first_record) noexcept {
    held_ = true;
    first_record_ = first_record;
    for (Link& link : links_) link.ring.hold();
    bell_sign_ = &shm::Doorbell().sign();  // nobody's: committed() rings
    find_everyday();
  }
  [[nodiscard]] std::size_t links() const noexcept { return links_.size(); }
  /// Of the last frame that its element took: what frames get that have none.
  void inherit_origin(const std::uint32_t& origin) noexcept {
    origin_ = &origin;
    describes_ = true;
  }
  void resume(const OutletRecord& record, std::span<const LinkRecord> links) noexcept;
  void note_in(OutletRecord& record, std::span<LinkRecord> links) const noexcept;
  void committed() noexcept {
    for (Link& link : links_) {
      link.committed = link.ring.produced();
      link.consumer_bell.ring();
    }
    find_everyday();
  }
  [[nodiscard]] bool has_uncommitted() const noexcept {
    return held_ && std::ranges::any_of(links_, [](const Link& link) { return !link.is_at_commit(); });
  }
  /// Throws Error where a poll would wait for room that only its own end can make.
  void refuse_too_much() const;
  /// Throws PayloadError where room will never come, as the consumer says that it has taken what was never put.
  void refuse_broken() const;
  const std::atomic<std::uint32_t>* stop = nullptr;  ///< the worker's; null: only the lane's
  std::atomic<std::uint32_t>* eos_count = nullptr;   ///< the worker's count of pads that have given EOS
  bool overfull = false;      ///< a link that never waits has no more room: its consumer should have a turn
  bool wanted = false;        ///< the last poll found it full
  bool awaited = false;       ///< the lane waits for room here
  bool element_side = false;  ///< the end of an element's queue to its worker: waits even on a shared lane
  bool puts_later = false;    ///< never waits: what frees it may need this lane

 private:
  void put_any(Frame&& frame);
  void put_on(Link& link, Frame&& frame, const detail::LentBlock& metadata);
  void put_in_ring(Link& link, const detail::Descriptor& frame) noexcept;
  void put_in_journal(Link& link, const detail::Descriptor& frame) noexcept;
  void note_overfull() noexcept;
  static void mark(Frame& frame, Link& link);
  [[nodiscard]] static detail::BlockRef mark_metadata(const Frame& frame, const detail::LentBlock& share, const Link& link);
  [[noreturn]] void throw_after_eos() const;
  void find_everyday() noexcept;
  void end_everyday_if_full() noexcept {
    if (everyday_ && !everyday_->has_room()) everyday_ = nullptr;
  }
  /// After an everyday put: wakes the consumer, and sees whether there is room for another.
  void follow_up() noexcept;
  void describe(detail::Descriptor& d) noexcept {
    if (from_source_) d.sequence = given_;
    else if (origin_ && d.origin == 0) d.origin = *origin_;
  }
  [[nodiscard]] bool must_change(const Frame& frame, const Link& link) const noexcept;

  Lane* lane_;
  std::vector<Link> links_;
  Link* only_ = nullptr;      // where there is one
  shm::SlotWriter* everyday_ = nullptr;  // the same one's, as long as it has room and nothing else has to be looked at
  const std::atomic<std::uint32_t>* bell_sign_ = nullptr;  // the same one's
  const std::uint32_t* origin_ = nullptr;
  std::string pad_;
  const shm::ArenaTable* arenas_;
  std::deque<Frame> backlog_;
  std::uint64_t given_ = 0;
  bool from_source_, measure_;
  bool describes_;            // frames get something on the way
  bool all_local_ = true, any_crossing_ = false, any_overflow_ = false;
  bool eos_put_ = false, eos_queued_ = false, closed_ = false;
  bool held_ = false;
  std::size_t first_record_ = 0;  // of its links in the journal
};

}  // namespace weir::engine
