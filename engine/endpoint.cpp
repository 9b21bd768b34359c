#include "engine/endpoint.hpp"

#include <bit>
#include <chrono>
#include <cstring>

#include "engine/lane.hpp"

namespace weir::engine {

using detail::BlockHeader;
using detail::Descriptor;
using detail::FrameAccess;
using detail::Payload;

std::uint64_t monotonic_ns() noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(shm::Clock::now().time_since_epoch()).count());
}

std::uint32_t origin_now() noexcept {
  const auto units = static_cast<std::uint32_t>(monotonic_ns() >> 6);
  return units == 0 ? 1 : units;
}

void throw_spec_change(const std::string& pad, std::uint64_t frame, const Spec& first, const Spec& now) {
  throw SpecError("frame " + std::to_string(frame) + " received by '" + pad +
                  "' is inconsistent with those before: it has " + to_string(now) + ", they had " + to_string(first) +
                  "; a pad keeps its spec for a whole stream");
}

void LocalQueue::grow() {
  std::vector<Frame> larger(slots_.empty() ? std::bit_ceil(limit_ < 8 ? limit_ + 1 : 8) : slots_.size() * 2);
  for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move(slots_[(first_ + i) & (slots_.size() - 1)]);
  slots_ = std::move(larger);
  first_ = 0;
}

void SinkMeter::count(const Descriptor& frame) const noexcept {
  // relaxed throughout: figures for reports, read after the lane has ended, or as approximations before
  const std::uint64_t frames = header->sink_frames.load(std::memory_order_relaxed);
  if (frames == 0) header->first_frame_ns.store(monotonic_ns(), std::memory_order_relaxed);
  header->sink_frames.store(frames + 1, std::memory_order_relaxed);
  if (frame.flags & detail::kEos) header->last_eos_ns.store(monotonic_ns(), std::memory_order_relaxed);
  if (latency && frame.origin != 0) header->latency.add(static_cast<std::uint64_t>(origin_now() - frame.origin) << 6);
}

// --- Inlet

void Inlet::import(Descriptor& d) {
  const std::uint8_t flags = d.flags;
  const std::uint64_t metadata = d.metadata;
  d.metadata = 0;
  d.flags = static_cast<std::uint8_t>(flags & ~detail::kMetadata);
  const auto refuse = [&](const char* what) {
    d.kind = Payload::none;
    throw PayloadError("pad '" + end_->sink + "' received a frame that is broken (" + what + ") from '" +
                       end_->source + "'; its process has damaged the ring");
  };
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
    if (!block || bytes > (1u << 20) || !arenas_->resolve(metadata, sizeof bytes + bytes))
      refuse("its metadata lies outside the memory of this link");
    auto* box = new detail::ObjectBox<Dict>(Dict::decode({block->payload() + sizeof bytes, bytes}));
    // SYNC block.drop (release): we have read the encoding; pairs with the acquire in Arena::find_free.
    block->shares.fetch_sub(1, std::memory_order_release);
    d.metadata = reinterpret_cast<std::uintptr_t>(static_cast<BlockHeader*>(box));
  }
  d.flags = flags;
}

bool Inlet::discard() {
  Frame frame;
  if (local_) {
    if (!local_->has_frame()) return false;
    local_->take(frame);
    return true;
  }
  if (!ring_.has_frame()) return false;
  Descriptor& d = FrameAccess::descriptor(frame);
  ring_.take(d);
  d.home = 0;
  import(d);
  release();
  return true;
}

void Inlet::check_spec(const Descriptor& d, std::uint64_t spec) {
  if (spec_ == 0 && channels_ == 0) {
    spec_ = spec;
    channels_ = d.channels;
    return;
  }
  throw_spec_change(end_->sink, taken_,
                    {static_cast<TypeId>(spec_ >> 32), static_cast<std::uint32_t>(spec_), channels_},
                    {static_cast<TypeId>(d.type), d.rate, d.channels});
}

void Inlet::leave() noexcept {
  publish_counters();
  if (local_) local_->leave();
  else ring_.leave(), producer_bell_.ring();
}

void Inlet::publish_counters() noexcept {
  counters_->delivered.store(taken_, std::memory_order_relaxed);
  counters_->samples.store(samples_, std::memory_order_relaxed);
}

// --- Outlet

Outlet::Outlet(Lane& lane, std::vector<Link> links, std::string pad, const shm::ArenaTable& arenas, bool from_source,
               bool measure)
    : lane_(&lane),
      links_(std::move(links)),
      pad_(std::move(pad)),
      arenas_(&arenas),
      from_source_(from_source),
      measure_(measure) {
  for (const Link& link : links_) {
    all_local_ &= link.local != nullptr;
    any_crossing_ |= link.end->crosses_process;
  }
}

void Outlet::stamp(Descriptor& d) noexcept {
  d.sequence = given_;
  if (measure_) d.origin = origin_now();
}

void Outlet::put(Frame&& frame) {
  Descriptor& d = FrameAccess::descriptor(frame);
  if (eos_put_)
    throw Error("pad '" + pad_ + "' gave a frame after its end of stream; nothing may follow an EOS frame");
  if (d.kind >= Payload::block && !all_local_)
    for (Link& link : links_) prepare_crossing(frame, link);
  if (from_source_) stamp(d);
  if (d.flags & detail::kEos) {
    eos_put_ = true;
    if (eos_count) eos_count->fetch_add(1, std::memory_order_relaxed);  // the supervisor only asks how patient to be
  }
  ++given_;
  for (std::size_t i = 0; i + 1 < links_.size(); ++i) put_on(links_[i], Frame(frame));
  if (!links_.empty()) put_on(links_.back(), std::move(frame));
}

void Outlet::put_on(Link& link, Frame&& frame) {
  if (link.local) {
    link.local->put(std::move(frame));
    return;
  }
  if (!link.ring.has_room()) return;  // the consumer has gone: nobody will read it; it is dropped here, unproduced
  Descriptor& d = FrameAccess::descriptor(frame);
  if ((d.flags & detail::kMetadata) && link.end->crosses_process) {
    const auto bytes = frame.metadata().encode();
    BlockHeader* block = detail::lend_block(sizeof(std::uint64_t) + bytes.size());
    const std::uint64_t size = bytes.size();
    std::memcpy(block->payload(), &size, sizeof size);
    std::memcpy(block->payload() + sizeof size, bytes.data(), bytes.size());
    Descriptor crossing = d;
    crossing.metadata = block->ref;
    link.ring.put(crossing);
    d.home = 0;                      // the payload's share travels, the metadata object's stays
    d.kind = Payload::none;
  } else {
    link.ring.put(d);
    FrameAccess::forget(frame);
  }
  link.consumer_bell.ring();
}

bool Outlet::flush_backlog() {
  while (!backlog_.empty()) {
    for (Link& link : links_)
      if (!link.has_room()) return false;
    Frame frame = std::move(backlog_.front());
    backlog_.pop_front();
    put(std::move(frame));
  }
  return true;
}

void Outlet::close() noexcept {
  if (closed_) return;
  closed_ = true;
  publish_counters();
  for (Link& link : links_) {
    if (link.local) link.local->close();
    else link.ring.close(), link.consumer_bell.ring();
  }
}

void Outlet::publish_counters() noexcept {
  for (Link& link : links_) {
    link.counters->produced.store(link.local ? link.local->produced() : link.ring.produced(),
                                  std::memory_order_relaxed);
    link.counters->copies.store(link.copies, std::memory_order_relaxed);
  }
}

// What can't travel as it is moves into the lane's arena, once: to another process a payload on this one's heap, to
// another lane a block of an arena that is not this run's.
void Outlet::prepare_crossing(Frame& frame, Link& link) {
  const Descriptor& d = FrameAccess::descriptor(frame);
  if (link.local) return;
  if (d.kind == Payload::block) {
    const auto* block = arenas_->resolve(d.block.ref, std::uint64_t{d.block.count} * d.block.item_bytes);
    if (reinterpret_cast<std::uintptr_t>(block) == d.home) return;
    copy_into_arena(frame);
  } else if (!link.end->crosses_process) {
    return;
  } else if (d.kind == Payload::object) {
    encode_object(frame, link);
  } else {
    copy_into_arena(frame);
  }
  ++link.copies;
}

void Outlet::copy_into_arena(Frame& frame) {
  const Descriptor& d = FrameAccess::descriptor(frame);
  const std::size_t bytes = std::size_t{d.block.count} * d.block.item_bytes;
  BlockHeader* block = detail::lend_block(bytes);
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
  const std::size_t bytes = type.encoded_bytes(object);
  BlockHeader* block = detail::lend_block(bytes);
  type.encode(object, {block->payload(), bytes});
  FrameAccess::replace_block(frame, block);
  d.block.count = static_cast<std::uint32_t>(bytes);
  d.block.item_bytes = 1;
  d.flags |= detail::kEncoded;
}

}  // namespace weir::engine
