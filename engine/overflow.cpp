#include "engine/overflow.hpp"

#include <algorithm>
#include <string>

#include "engine/counted.hpp"
#include "engine/gap.hpp"
#include "engine/lane.hpp"

namespace weir {

std::string_view to_string(Overflow overflow) noexcept {
  switch (overflow) {
    case Overflow::block: return "block";
    case Overflow::drop_oldest: return "drop_oldest";
    case Overflow::drop_newest: return "drop_newest";
    case Overflow::latest: return "latest";
    case Overflow::fail: return "fail";
  }
  return "?";
}

std::optional<Overflow> overflow_from(std::string_view text) noexcept {
  for (const Overflow overflow : kOverflows)
    if (to_string(overflow) == text) return overflow;
  return std::nullopt;
}

namespace engine {

using detail::Descriptor;
using detail::FrameAccess;
using detail::Payload;

Frame take_back(const Descriptor& slot, const shm::ArenaTable& arenas, bool crosses_process) {
  Frame frame;
  Descriptor d = slot;
  d.home = 0;
  if (crosses_process && (d.flags & detail::kMetadata)) {
    if (auto* block = arenas.resolve(d.metadata, 0)) detail::drop_share(block, d.metadata);
  }
  if (crosses_process) d.metadata = 0, d.flags = 0;
  if (d.kind == Payload::block)
    d.home = reinterpret_cast<std::uintptr_t>(
        arenas.resolve(d.block.ref, std::uint64_t{d.block.count} * d.block.item_bytes));
  else if (d.kind > Payload::block && !crosses_process) d.home = d.block.ref;
  FrameAccess::descriptor(frame) = d;
  return frame;
}

// --- OverflowOutlet

bool OverflowOutlet::finds_room() const noexcept {
  if (!ring_.has_slot()) return false;  // its consumer is stopped while it copies a frame
  return end_->overflow == Overflow::drop_oldest || end_->overflow == Overflow::latest || !is_full();
}

void OverflowOutlet::refuse_full(const Descriptor& frame) const {
  if (end_->overflow != Overflow::fail || (frame.flags & detail::kEos) || finds_room()) return;
  throw Error("the queue from '" + end_->source + "' to '" + end_->sink + "' is full: it holds " +
              counted(end_->capacity, "frame") + ", and its overflow is fail; raise queue_maxsize (queue=), or choose another "
              "overflow");
}

void OverflowOutlet::count_samples_of(const Descriptor& frame) noexcept {
  ring_.count_dropped_samples(length_of(frame).value_or(0));
}

bool OverflowOutlet::admit(const Descriptor& frame) noexcept {
  ++offered_;
  if ((frame.flags & detail::kEos) || finds_room()) return true;
  add_to_gap(pending_, frame);
  count_samples_of(frame);
  ring_.count_refused();
  return false;
}

// The new frame first: so there is always one, and the note of what follows the displaced has its place. One more waits
// than before, so one is to be displaced at most, whatever a consumer that writes garbage does to the claim.
void OverflowOutlet::put(const Descriptor& frame) noexcept {
  ring_.put(frame, pending_);
  pending_ = {};
  const bool displaces = end_->overflow == Overflow::drop_oldest || end_->overflow == Overflow::latest;
  if (!displaces || (frame.flags & detail::kEos)) return;
  Descriptor oldest;
  if (!ring_.displace(most_queued(), oldest, add_to_gap)) return;
  count_samples_of(oldest);
  (void)take_back(oldest, *arenas_, end_->crosses_process);
}

// --- Inlet

void Inlet::take_from(OverflowInlet& overflow) noexcept {
  overflow_ = &overflow;
  local_ = &overflow.hand;
  from_ = &overflow.hand.from();
}

bool Inlet::has_overflow() const noexcept { return overflow_->ring.has_any(); }
bool Inlet::overflow_drained() const noexcept { return !local_->has_frame() && overflow_->ring.drained(); }

bool Inlet::take_overflow(Frame& frame) {
  Descriptor& d = FrameAccess::descriptor(frame);
  Descriptor gap{};
  const bool came = overflow_->ring.take(d, gap, tally_.samples());
  if (came) {
    d.home = 0;
    import(d);
  } else if (!overflow_->ring.take_last_note(gap)) {
    return false;
  }
  if (gap.flags == 0) {
    account(d);
    return true;
  }
  ++overflow_->gaps;
  if (came) overflow_->hand.put(std::move(frame));
  d = only_gap(gap);
  lane_->note_uncounted();
  return true;
}

bool Inlet::discard_overflow() {
  Frame frame;
  Descriptor gap{};
  Descriptor& d = FrameAccess::descriptor(frame);
  if (!overflow_->ring.take(d, gap, tally_.samples())) return overflow_->ring.take_last_note(gap);
  ++discarded_;
  d.home = 0;
  import(d);
  return true;
}

}  // namespace engine
}  // namespace weir
