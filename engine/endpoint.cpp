#include "engine/endpoint.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>

#include "engine/fault.hpp"
#include "engine/journal.hpp"
#include "engine/lane.hpp"
#include "engine/overflow.hpp"

namespace weir::engine {

using detail::BlockHeader;
using detail::Descriptor;
using detail::FrameAccess;
using detail::Payload;

namespace {
constexpr std::size_t kMostMetadata = UINT32_MAX;  // bytes of an encoding that may cross
}

std::uint64_t monotonic_ns() noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(shm::Clock::now().time_since_epoch()).count());
}

std::uint32_t origin_now() noexcept {
  const auto units = static_cast<std::uint32_t>(monotonic_ns() >> 6);
  return units == 0 ? 1 : units;
}

LocalQueue::LocalQueue(std::size_t limit)
    : capacity_(std::bit_ceil(std::min<std::size_t>(limit + Burst::kMost, 1024))), limit_(limit) {
  slots_ = std::make_unique<Descriptor[]>(capacity_);
  to_ = {.slots = slots_.get(), .mask = 7};
  from_ = {.slots = slots_.get(), .mask = 7};
  look_at_reader();
}

// Twice the slots: those in the upper half are free, as long as there are any; then others have to be made.
void LocalQueue::grow() {
  const std::size_t before = to_.mask, mask = 2 * before + 1;
  const auto move_to = [&](Descriptor* slots) {
    for (std::uint64_t at = from_.pos; at != to_.pos; ++at) slots[at & mask] = slots_[at & before];
  };
  if (mask < capacity_) {
    move_to(slots_.get());
  } else {
    auto larger = std::make_unique<Descriptor[]>(mask + 1);
    move_to(larger.get());
    slots_ = std::move(larger);
    capacity_ = mask + 1;
  }
  to_.mask = from_.mask = mask;
  to_.slots = slots_.get();
  from_.slots = slots_.get();
}

LocalQueue::~LocalQueue() {
  while (has_frame()) {
    Frame left;
    take(left);
  }
}

void SinkMeter::count(const Descriptor& frame) const noexcept {
  // relaxed throughout: figures for reports, read after the lane has ended, or as approximations before
  const std::uint64_t frames = header->sink_frames.load(std::memory_order_relaxed);
  if (frames == 0) header->first_frame_ns.store(monotonic_ns(), std::memory_order_relaxed);
  header->sink_frames.store(frames + 1, std::memory_order_relaxed);
  if (frame.flags & detail::kEos) header->last_eos_ns.store(monotonic_ns(), std::memory_order_relaxed);
  if (latency && frame.origin != 0) header->latency.add(static_cast<std::uint64_t>(origin_now() - frame.origin) << 6);
}

namespace {
[[noreturn]] void throw_broken(const LinkEnd& end, const std::string& who) {
  throw PayloadError("the queue from '" + end.source + "' to '" + end.sink + "' is broken: " + who +
                     "'s process has written over it");
}
}  // namespace

// --- Inlet

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
  d.home = 0;
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
  lost_ = record.lost;
  if (claim_) claim_in(claim_);
}

void Inlet::release_committed() noexcept {
  step("release");
  if (ring_.release(committed_.position, committed_.samples)) producer_bell_.ring();
}

void Inlet::note_in(InletRecord& record) const noexcept { record = {ring_.taken(), tally_, at_eos_, lost_}; }

void Inlet::claim() const noexcept {
  // relaxed: read when this process is dead; and stored before the worker's code, which no compiler sees from here, runs
  claim_->store(ring_.taken(), std::memory_order_relaxed);
  step("claim");
}

void Inlet::refuse_too_much() const {
  if (!held_) return;
  lane_->journal()->about_to_wait();  // alone, the poll may find all the room there is
  if (ring_.taken() - committed_.position >= ring_.limit())
    throw Error("pad '" + pad() + "': one poll takes more than " + std::to_string(ring_.limit()) +
                " frames, which is all that its queue holds; a worker with restart= can't do that: raise "
                "queue_maxsize, or take less in a poll");
}

void Inlet::refuse_broken() const {
  if (overflow_ ? overflow_->ring.is_broken() : !local_ && ring_.is_broken()) throw_broken(*end_, "its producer");
}

void Inlet::leave() noexcept {
  publish_counters();
  if (local_) local_->leave();
  if (!local_ || overflow_) ring_.leave(), producer_bell_.ring();
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

// --- Outlet

Outlet::Outlet(Lane& lane, std::uint64_t& progress, std::vector<Link> links, std::string pad,
               const shm::ArenaTable& arenas, bool from_source, bool measure)
    : lane_(&lane),
      progress_(&progress),
      links_(std::move(links)),
      pad_(std::move(pad)),
      arenas_(&arenas),
      from_source_(from_source),
      measure_(measure) {
  if (links_.size() == 1) only_ = &links_.front();
  for (const Link& link : links_) {
    all_local_ &= link.local != nullptr;
    any_crossing_ |= link.end->crosses_process;
    any_overflow_ |= link.overflow != nullptr;
  }
  find_everyday();
}

void Outlet::find_everyday() noexcept {
  const bool unusual = (held_ && at_step) || any_overflow_ || measure_ || eos_put_ || closed_ || !backlog_.empty() ||
                       (only_ && only_->gone());
  everyday_ = unusual || !only_ ? nullptr : only_->local ? &only_->local->to() : &only_->ring.at();
}

namespace {

/// The frame's metadata in a block of the lane's arena: its size in 8 bytes, then the encoding.
detail::LentBlock encode_metadata(const Frame& frame) {
  const auto bytes = frame.metadata().encode();
  if (bytes.size() > kMostMetadata)
    throw PayloadError("the frame's metadata takes " + std::to_string(bytes.size()) + " bytes; " +
                       std::to_string(kMostMetadata) + " can cross to another process; send it as a payload");
  const detail::LentBlock block = detail::lend_block(sizeof(std::uint64_t) + bytes.size());
  const std::uint64_t size = bytes.size();
  std::memcpy(block->payload(), &size, sizeof size);
  std::memcpy(block->payload() + sizeof size, bytes.data(), bytes.size());
  return block;
}

}  // namespace

void Outlet::stamp(Descriptor& d) noexcept {
  d.sequence = given_;
  if (measure_) d.origin = origin_now();
}

bool Outlet::abandoned() const noexcept {
  return !links_.empty() && std::ranges::all_of(links_, [](const Link& link) { return link.gone(); });
}

void Outlet::follow_up() noexcept {
  only_->consumer_bell.ring();
  if (!has_room()) lane_->note_attention();
}

// What may throw comes first, so that a frame is put on all links or on none.
void Outlet::put_any(Frame&& frame) {
  if (eos_put_) throw_after_eos();
  if (closed_) {  // after sub_process_shutdown: nobody will read it
    for (Link& link : links_) link.counters->dropped.store(++link.dropped, std::memory_order_relaxed);
    frame = Frame();
    return;
  }
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
        make_crossable(only_ ? frame : changed, link);
    }
  detail::LentBlock metadata;
  if (any_crossing_ && (FrameAccess::descriptor(frame).flags & detail::kMetadata)) metadata = encode_metadata(frame);
  Descriptor& d = FrameAccess::descriptor(frame);
  describe(d);
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
  if (!has_room()) lane_->note_attention();
}

// Who may be killed and started again holds blocks by marks. A block of which all marks are held is copied.
void Outlet::mark(Frame& frame, Link& link) {
  Descriptor& d = FrameAccess::descriptor(frame);
  if (d.kind != Payload::block || detail::Shares::is_marked(d.block.ref)) return;
  auto marked = detail::mark_share(reinterpret_cast<BlockHeader*>(d.home), d.block.ref);
  if (!marked) {
    ++link.copies;
    copy_into_arena(frame);
    marked = detail::mark_share(reinterpret_cast<BlockHeader*>(d.home), d.block.ref);
  }
  d.block.ref = *marked;
}

void Outlet::put_in_ring(Link& link, const Descriptor& frame) noexcept {
  if (link.overflow) {
    link.overflow->put(frame);
    link.consumer_bell.ring();
    if (link.overflow->is_full()) note_overfull();
    return;
  }
  if (held_) step("put");
  link.ring.put(frame);
  if (!held_) link.consumer_bell.ring();
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
  for (std::size_t i = 0; i < links_.size(); ++i) links[i] = {links_[i].committed, links_[i].ring.produced()};
}

void Outlet::refuse_too_much() const {
  if (!held_) return;
  lane_->journal()->about_to_wait();  // alone, the poll may find all the room there is
  for (const Link& link : links_)
    if (link.ring.produced() - link.committed >= link.ring.limit())
      throw Error("pad '" + pad_ + "': one poll puts more than " + std::to_string(link.ring.limit()) +
                  " frames, which is all that its queue holds; a worker with restart= can't do that: raise "
                  "queue_maxsize, or put less in a poll");
}

void Outlet::refuse_broken() const {
  for (const Link& link : links_)
    if (!link.local && !link.gone() && link.ring.is_broken()) throw_broken(*link.end, "its consumer");
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
  if (link.end->marks)
    if (const auto marked = detail::mark_share(metadata, metadata.ref)) crossing.metadata = *marked;
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

void Outlet::make_crossable(Frame& frame, const Link& link) {
  if (FrameAccess::descriptor(frame).kind == Payload::object) encode_object(frame, link);
  else copy_into_arena(frame);
}

void Outlet::copy_into_arena(Frame& frame) {
  const Descriptor& d = FrameAccess::descriptor(frame);
  const std::size_t bytes = std::size_t{d.block.count} * d.block.item_bytes;
  const detail::LentBlock block = detail::lend_block(bytes);
  std::memcpy(block->payload(), reinterpret_cast<BlockHeader*>(d.home)->payload(), bytes);
  FrameAccess::replace_block(frame, block);
}

void Outlet::encode_object(Frame& frame, const Link& link) {
  Descriptor& d = FrameAccess::descriptor(frame);
  const auto* object = static_cast<const detail::ObjectHeader*>(reinterpret_cast<BlockHeader*>(d.home));
  const detail::ObjectType& type = *object->object_type;
  if (!type.encode)
    throw PayloadError("a payload of type '" + demangle(type.info->name()) + "' can't cross from '" +
                       link.end->source + "' to '" + link.end->sink +
                       "', which is in another process: make the type trivially copyable, specialise "
                       "weir::Codec for it, or run both elements in threads (mode=thread)");
  if (!object->object)
    throw PayloadError("an empty pointer to '" + demangle(type.info->name()) + "' can't cross from '" +
                       link.end->source + "' to '" + link.end->sink + "', which is in another process");
  const std::size_t bytes = type.encoded_bytes(object);
  if (bytes > UINT32_MAX)
    throw PayloadError("a payload of type '" + demangle(type.info->name()) + "' has an encoding of " +
                       std::to_string(bytes) + " bytes; 4294967295 can cross from '" + link.end->source + "' to '" +
                       link.end->sink + "'");
  Frame encoded = Frame::loan<std::byte>(bytes);  // gives the block back if encode throws
  type.encode(object, encoded.data<std::byte>());
  const Descriptor& e = FrameAccess::descriptor(encoded);
  const detail::LentBlock block{reinterpret_cast<BlockHeader*>(e.home), e.kind == Payload::block ? e.block.ref : 0};
  FrameAccess::forget(encoded);
  FrameAccess::replace_block(frame, block);
  d.block.count = type.plain ? 1 : static_cast<std::uint32_t>(bytes);
  d.block.item_bytes = type.plain ? static_cast<std::uint32_t>(bytes) : 1;
  if (!type.plain) d.flags |= detail::kEncoded;
}

}  // namespace weir::engine
