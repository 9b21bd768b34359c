#include "engine/inlet.hpp"

#include <cstring>

#include "engine/counted.hpp"
#include "engine/crossing.hpp"
#include "engine/fault.hpp"
#include "engine/journal.hpp"
#include "engine/lane.hpp"
#include "engine/overflow.hpp"

namespace weir::engine {

using detail::BlockHeader;
using detail::Descriptor;
using detail::FrameAccess;
using detail::Payload;

void Inlet::account(const Descriptor& d) {
  if (claim_) claim();
  if (d.flags & detail::kEos) note_eos();
  if (origin && d.origin != 0) *origin = d.origin;
  const bool watched = origin || claim_ || (meter_.header && meter_.latency);
  tally_.count(d, end_->sink, !watched);
  if (meter_.header) meter_.count(d);
}

void Inlet::import(Descriptor& d) {
  const std::uint8_t flags = d.flags;
  const std::uint64_t metadata = d.metadata;
  d.metadata = 0;
  d.flags = static_cast<std::uint8_t>(flags & ~detail::kMetadata);
  const auto refuse = [&](const char* what) {
    if (d.home == 0) d.kind = Payload::none;  // what it has a share of is dropped as what it is
    d.flags = 0;
    throw PayloadError("pad '" + end_->sink + "' received a frame that is broken (" + what + ") from '" +
                       end_->source + "'; its process has damaged the ring");
  };
  if ((flags & detail::kEncoded) && ((d.kind != Payload::block && d.kind != Payload::heap) || d.block.item_bytes != 1))
    refuse("it has no encoding");
  if (d.kind == Payload::block) {
    BlockHeader* header = arenas_->resolve(d.block.ref, std::uint64_t{d.block.count} * d.block.item_bytes);
    if (!header) refuse("its block lies outside the memory of this link");
    d.home = reinterpret_cast<std::uintptr_t>(header);
  } else if (d.kind == Payload::heap || d.kind == Payload::object) {
    if (end_->crosses_process) refuse("its payload lies in another process");
    d.home = d.block.ref;
  } else if (d.kind > Payload::object) {
    refuse("its kind is unknown");
  }
  if (!(flags & detail::kMetadata)) return;
  if (!end_->crosses_process) {
    d.metadata = metadata;
  } else {
    BlockHeader* block = arenas_->resolve(metadata, sizeof(std::uint64_t));
    std::uint64_t bytes = 0;
    if (block) std::memcpy(&bytes, block->payload(), sizeof bytes);
    if (!block || bytes > kMostMetadata || !arenas_->resolve(metadata, sizeof bytes + bytes))
      refuse("its metadata lies outside the memory of this link");
    detail::ObjectHeader* box = nullptr;
    try {
      box = new detail::ObjectBox<Dict>(Dict::decode({block->payload() + sizeof bytes, bytes}));
    } catch (const Error&) {
      refuse("its metadata can't be read");
    }
    detail::drop_share(block, metadata);
    d.metadata = reinterpret_cast<std::uintptr_t>(static_cast<BlockHeader*>(box));
  }
  d.flags = flags;
}

void Inlet::take_or_end(Frame& frame) {
  if (try_take(frame)) return;
  if (!drained()) throw_broken_here();
  frame = Frame::end_of_stream();
}

bool Inlet::discard() {
  if (overflow_ && !local_->has_frame()) return discard_overflow();
  Frame frame;
  if (local_) {
    if (!local_->has_frame()) return false;
    local_->take(frame);
    ++discarded_;
    return true;
  }
  if (!ring_.has_frame()) return false;
  ++discarded_;
  Descriptor& d = FrameAccess::descriptor(frame);
  ring_.take(d);
  import(d);
  release();
  return true;
}

void Inlet::note_eos() noexcept {
  at_eos_ = true;
  lane_->note_attention();
}

void Inlet::resume(const InletRecord& record) noexcept {
  committed_ = {record.end, record.tally.samples()};
  release_committed();
  ring_.resume(record.end);
  if (meter_.header)  // by as many as are taken again, or were counted by another process
    meter_.header->sink_frames.fetch_add(record.tally.frames() - tally_.frames(), std::memory_order_relaxed);
  tally_ = record.tally;
  at_eos_ = record.at_eos != 0;
  if (claim_) claim_in(claim_);
}

void Inlet::release_committed() noexcept {
  step("release");
  if (ring_.release_below(committed_.position, committed_.samples)) producer_bell_.ring();
}

// Field by field: a record that is made first and then copied would be read in wider pieces than it was just written in.
void Inlet::note_in(InletRecord& record) const noexcept {
  record.end = ring_.taken();
  record.tally = tally_;
  record.at_eos = at_eos_;
}

void Inlet::claim() const noexcept {
  // relaxed: read when this process is dead; and stored before the worker's code, which no compiler sees from here, runs
  claim_->store(ring_.taken(), std::memory_order_relaxed);
  step("claim");
}

void Inlet::refuse_too_much() const {
  if (!held_) return;
  lane_->journal()->about_to_wait();  // alone, the poll may find all the room there is
  if (ring_.taken() - committed_.position >= ring_.limit())
    throw Error("pad '" + pad() + "': one poll takes more than " + counted(ring_.limit(), "frame") +
                ", which is all that its queue holds; a worker with restart= can't do that: raise "
                "queue_maxsize, or take less in a poll");
}

// See Outlet::refuse_broken.
void Inlet::throw_broken_here() const {
  throw_broken(*end_, held_ || overflow_ ? kOneOfTwo : "its producer's process");
}

void Inlet::refuse_broken() const {
  if (overflow_ ? overflow_->ring.is_broken() : !local_ && ring_.is_broken()) throw_broken_here();
}

void Inlet::leave() noexcept {
  publish_counters();
  if (local_) local_->leave();
  if (!local_ || overflow_) ring_.leave(tally_.samples()), producer_bell_.ring();
}

std::size_t Inlet::size_approx() const noexcept {
  return overflow_ ? local_->size() + overflow_->ring.queued_approx() : local_ ? local_->size() : ring_.size_approx();
}

void Inlet::publish_counters() noexcept {
  counters_->delivered.store(tally_.frames(), std::memory_order_relaxed);
  counters_->samples.store(tally_.samples(), std::memory_order_relaxed);
  counters_->empty.store(waits_, std::memory_order_relaxed);
  counters_->left.store(discarded_ + (local_ ? local_->size() : 0), std::memory_order_relaxed);
  if (overflow_) counters_->gaps.store(overflow_->gaps, std::memory_order_relaxed);
}

}  // namespace weir::engine
