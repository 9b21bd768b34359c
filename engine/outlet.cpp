#include "engine/outlet.hpp"

#include <algorithm>

#include "engine/counted.hpp"
#include "engine/crossing.hpp"
#include "engine/fault.hpp"
#include "engine/journal.hpp"
#include "engine/lane.hpp"
#include "engine/overflow.hpp"
#include "engine/sink_meter.hpp"

namespace weir::engine {

using detail::BlockHeader;
using detail::Descriptor;
using detail::FrameAccess;
using detail::Payload;

Outlet::Outlet(Lane& lane, std::vector<Link> links, std::string pad, const shm::ArenaTable& arenas, bool from_source,
               bool measure)
    : lane_(&lane),
      links_(std::move(links)),
      pad_(std::move(pad)),
      arenas_(&arenas),
      from_source_(from_source),
      measure_(measure),
      describes_(from_source) {
  if (links_.size() == 1) {
    only_ = &links_.front();
    bell_sign_ = &only_->consumer_bell.sign();
  }
  for (const Link& link : links_) {
    all_local_ &= link.local != nullptr;
    any_crossing_ |= link.end->crosses_process;
    any_overflow_ |= link.overflow != nullptr;
  }
  find_everyday();
}

void Outlet::find_everyday() noexcept {
  everyday_ = nullptr;
  if (!only_ || any_overflow_ || measure_ || eos_put_ || closed_ || !backlog_.empty()) return;
  if (held_ && (at_step || only_->is_at_commit())) return;
  shm::SlotWriter& to = only_->local ? only_->local->to() : only_->ring.at();
  if (to.has_room() && !only_->gone()) everyday_ = &to;
}

bool Outlet::abandoned() const noexcept {
  return !links_.empty() && std::ranges::all_of(links_, [](const Link& link) { return link.gone(); });
}

void Outlet::follow_up() noexcept {
  only_->consumer_bell.ring();
  end_everyday_if_full();
  if (!has_room()) lane_->note_attention();
}

// What may throw comes first, so that a frame is put on all links or on none.
void Outlet::put_any(Frame&& frame) {
  if (closed_) {  // after sub_process_shutdown: nobody will read it, an EOS frame that comes again included
    for (Link& link : links_) link.counters->dropped.store(++link.dropped, std::memory_order_relaxed);
    frame = Frame();
    lane_->note_uncounted();
    return;
  }
  if (eos_put_) throw_after_eos();
  if (any_overflow_)
    for (const Link& link : links_)
      if (link.overflow && !link.gone()) link.overflow->refuse_full(FrameAccess::descriptor(frame));
  Frame changed;  // what goes on the links that can't take the frame as it is
  if (FrameAccess::descriptor(frame).kind >= Payload::block && !all_local_)
    for (Link& link : links_) {
      if (!must_change(frame, link)) continue;
      ++link.copies;
      if (!only_ && !changed.has_data()) changed = frame;
      if (only_ || FrameAccess::descriptor(changed).home == FrameAccess::descriptor(frame).home)
        make_crossable(only_ ? frame : changed, *link.end);
    }
  detail::LentBlock metadata;
  if (any_crossing_ && (FrameAccess::descriptor(frame).flags & detail::kMetadata)) metadata = encode_metadata(frame);
  Descriptor& d = FrameAccess::descriptor(frame);
  describe(d);
  if (measure_) d.origin = origin_now();
  ++given_;
  if (d.flags & detail::kEos) {
    eos_put_ = true;
    everyday_ = nullptr;
    lane_->note_attention();
    if (eos_count) eos_count->fetch_add(1, std::memory_order_relaxed);  // the supervisor only asks how patient to be
  }
  if (only_) {
    put_on(*only_, std::move(frame), metadata);
  } else {
    FrameAccess::descriptor(changed).sequence = d.sequence;
    FrameAccess::descriptor(changed).origin = d.origin;
    for (Link& link : links_) put_on(link, Frame(must_change(frame, link) ? changed : frame), metadata);
    frame = Frame();
  }
  if (metadata) detail::drop_share(metadata, metadata.ref);  // our own; each link has taken one of its own
  end_everyday_if_full();
  if (!has_room()) lane_->note_attention();
}

// Of a block that was just lent: this lane's arena is one that others write, too.
[[noreturn]] static void throw_marks_damaged(const LinkEnd& end) {
  throw PayloadError("a payload from '" + end.source + "' to '" + end.sink +
                     "' can't be sent: another process has damaged the blocks that it lies in");
}

// Who may be killed and started again holds blocks by marks. A block of which all marks were given is copied.
void Outlet::mark(Frame& frame, Link& link) {
  Descriptor& d = FrameAccess::descriptor(frame);
  if (d.kind != Payload::block || detail::Shares::is_marked(d.block.ref)) return;
  auto marked = detail::mark_share(reinterpret_cast<BlockHeader*>(d.home), d.block.ref);
  if (!marked) {
    ++link.copies;
    copy_into_arena(frame);
    marked = detail::mark_share(reinterpret_cast<BlockHeader*>(d.home), d.block.ref);
  }
  if (!marked) throw_marks_damaged(*link.end);
  d.block.ref = *marked;
}

// The same of metadata; `share` is ours to give.
detail::BlockRef Outlet::mark_metadata(const Frame& frame, const detail::LentBlock& share, const Link& link) {
  if (const auto marked = detail::mark_share(share, share.ref)) return *marked;
  detail::drop_share(share, share.ref);
  const detail::LentBlock own = encode_metadata(frame);
  const auto marked = detail::mark_share(own, own.ref);
  if (!marked) throw_marks_damaged(*link.end);
  return *marked;
}

void Outlet::put_in_ring(Link& link, const Descriptor& frame) noexcept {
  if (link.overflow) {
    link.overflow->put(frame);
    link.consumer_bell.ring();
    if (link.overflow->is_full()) note_overfull();
    return;
  }
  if (held_) return put_in_journal(link, frame);
  link.ring.put(frame);
  link.consumer_bell.ring();
}

void Outlet::put_in_journal(Link& link, const Descriptor& frame) noexcept {
  step("put");
  if (!link.is_at_commit()) {
    link.ring.put(frame);
    return;
  }
  const auto number = static_cast<std::size_t>(&link - links_.data());
  link.ring.put_aside(frame, lane_->journal()->first_of(first_record_ + number));
  find_everyday();
}

// Others of the lane, who may take something, get their turn before the next frame.
void Outlet::note_overfull() noexcept {
  overfull = true;
  lane_->note_attention();
}

void Outlet::resume(const OutletRecord& record, std::span<const LinkRecord> links) noexcept {
  given_ = record.given;
  eos_put_ = record.eos_put != 0;
  eos_queued_ = false;
  backlog_.clear();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    links_[i].committed = links[i].end;
    links_[i].ring.resume(links[i].end);
  }
  find_everyday();
}

void Outlet::note_in(OutletRecord& record, std::span<LinkRecord> links) const noexcept {
  record = {given_, eos_put_};
  for (std::size_t i = 0; i < links_.size(); ++i) {
    links[i].begin = links_[i].committed;  // what it put first lies there
    links[i].end = links_[i].ring.produced();
  }
}

void Outlet::refuse_too_much() const {
  if (!held_) return;
  lane_->journal()->about_to_wait();  // alone, the poll may find all the room there is
  for (const Link& link : links_)
    if (link.ring.produced() - link.committed >= link.ring.limit())
      throw Error("pad '" + pad_ + "': one poll puts more than " + counted(link.ring.limit(), "frame") +
                  ", which is all that its queue holds; a worker with restart= can't do that: raise "
                  "queue_maxsize, or put less in a poll");
}

// Where a lane keeps a journal, its own position comes from there, and may be what is wrong.
void Outlet::refuse_broken() const {
  for (const Link& link : links_)
    if (!link.local && !link.gone() && link.ring.is_broken())
      throw_broken(*link.end, held_ ? kOneOfTwo : "its consumer's process");
}

void Outlet::put_on(Link& link, Frame&& frame, const detail::LentBlock& metadata) {
  if (link.gone()) {
    link.counters->dropped.store(++link.dropped, std::memory_order_relaxed);  // nobody will read it
    everyday_ = nullptr;
    lane_->note_attention();
    return;
  }
  if (link.end->marks) mark(frame, link);
  Descriptor& d = FrameAccess::descriptor(frame);
  if (link.overflow && !link.overflow->admit(d)) {
    frame = Frame();
    link.consumer_bell.ring();  // who sleeps while its queue is full looks whether that was written over
    note_overfull();
    return;
  }
  if (link.local) {
    link.local->put(std::move(frame));
    return;
  }
  if (!(d.flags & detail::kMetadata) || !link.end->crosses_process) {
    put_in_ring(link, d);
    FrameAccess::forget(frame);
    return;
  }
  metadata->shares.fetch_add(1, std::memory_order_relaxed);  // we hold one, so it can't reach 0 meanwhile
  Descriptor crossing = d;
  crossing.metadata = metadata.ref;
  if (link.end->marks) crossing.metadata = mark_metadata(frame, metadata, link);
  put_in_ring(link, crossing);
  d.home = 0;  // the payload's share travels, the metadata object's stays
  d.kind = Payload::none;
}

void Outlet::throw_after_eos() const {
  throw Error("pad '" + pad_ + "' gave a frame after its end of stream; nothing may follow an EOS frame");
}

void Outlet::put_later(Frame&& frame) {
  lane_->note_attention();
  if (eos_queued()) throw_after_eos();
  lane_->note_uncounted();
  eos_queued_ |= frame.eos();
  backlog_.push_back(std::move(frame));
  everyday_ = nullptr;
}

bool Outlet::flush_backlog() {
  if (backlog_.empty()) return true;
  while (!backlog_.empty()) {
    for (Link& link : links_)
      if (!link.has_room()) return false;
    Frame frame = std::move(backlog_.front());
    backlog_.pop_front();
    put_any(std::move(frame));
  }
  find_everyday();
  return true;
}

void Outlet::close() noexcept {
  for (Link& link : links_) link.dropped += backlog_.size();
  backlog_.clear();
  if (closed_) return;
  closed_ = true;
  everyday_ = nullptr;
  if (held_)
    for (Link& link : links_) link.ring.resume(link.committed);  // the stream ends where the last commit does
  publish_counters();
  for (Link& link : links_) {
    if (link.local) {
      link.local->close();
      continue;
    }
    if (link.overflow) link.overflow->close();
    else link.ring.close();
    link.consumer_bell.ring();
  }
}

void Outlet::publish_counters() noexcept {
  for (Link& link : links_) {
    const std::uint64_t put = link.overflow ? link.overflow->produced()
                              : link.local  ? link.local->produced()
                                            : link.ring.produced();
    link.counters->produced.store(put + link.dropped, std::memory_order_relaxed);
    link.counters->dropped.store(link.dropped, std::memory_order_relaxed);
    link.counters->full.store(link.waits, std::memory_order_relaxed);
    link.counters->copies.store(link.copies, std::memory_order_relaxed);
  }
}

// To another process a payload on this one's heap can't travel as it is; to another lane a block of an arena that is
// not this run's can't.
bool Outlet::must_change(const Frame& frame, const Link& link) const noexcept {
  const Descriptor& d = FrameAccess::descriptor(frame);
  if (link.local || d.kind < Payload::block) return false;
  if (d.kind > Payload::block) return link.end->crosses_process;
  const auto* block = arenas_->resolve(d.block.ref, std::uint64_t{d.block.count} * d.block.item_bytes);
  return reinterpret_cast<std::uintptr_t>(block) != d.home;
}

}  // namespace weir::engine
