// What comes out of a ring and the arena behind it, both written by the input: header, stamps and descriptors of the
// ring; then the blocks of the arena, and in them the encodings of metadata and payloads. What lies beyond either is
// poisoned.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include <sanitizer/asan_interface.h>

#include "engine/lane.hpp"
#include "tests/look_at.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::engine;

namespace {

constexpr std::size_t kLimit = 8;
constexpr std::size_t kBlocksBytes = 2048;  // of the arena, behind its tables
constexpr std::uint32_t kPeer = 1;

/// Of `bytes`, and what the last page has beyond them is poisoned.
shm::Segment poisoned_segment(std::size_t bytes) {
  shm::Segment segment = shm::Segment::create(shm::Segment::Sharing::private_memory, bytes, "fuzzed");
  constexpr std::size_t kPage = 4096;
  ASAN_POISON_MEMORY_REGION(segment.data() + bytes, (bytes + kPage - 1) / kPage * kPage - bytes);
  return segment;
}

LaneSpec consumer_spec() {
  LaneSpec spec;
  spec.lane = 2;
  spec.arenas = {spec.lane};
  LinkEnd& end = spec.ends.emplace_back();
  end.consumes = end.crosses_process = true;
  end.capacity = kLimit;
  end.source = "maker:src:out";
  end.sink = "user:snk:in";
  return spec;
}

Memory consumer_memory(std::uint32_t lane) {
  Memory memory;
  memory.bells[lane] = poisoned_segment(sizeof(shm::Bell));
  memory.arenas[lane] = shm::create_arena(shm::Segment::Sharing::private_memory, 1 << 20, lane);
  return memory;
}

/// The lane that takes the frames, as if their producer were in another process.
struct Consumer {
  Consumer() { arenas.set(kPeer, peer); }

  shm::Segment ring = poisoned_segment(shm::ring_bytes(kLimit));
  shm::Segment peer = poisoned_segment(sizeof(shm::ArenaHeader) + kBlocksBytes);
  shm::ArenaTable arenas;
  LaneSpec spec = consumer_spec();
  Memory memory = consumer_memory(spec.lane);
  Control control = Control::create(spec);
  Lane lane{spec, memory, control};
};

void take_all(Inlet& inlet, bool discards) {
  (void)inlet.size_approx();
  for (std::size_t n = 0; inlet.has_frame(); ++n) {
    if (n > 2 * kLimit) std::abort();  // its stamps were written once: at most each slot has one frame
    try {
      Frame frame;
      if (discards) (void)inlet.discard();
      else if (const auto next = inlet.everyday(); next.slot) frame = std::move(*inlet.take(next));
      else (void)inlet.try_take(frame);
      test::look_at(std::move(frame));
    } catch (const Error&) {
    }
  }
  (void)inlet.drained();
  inlet.leave();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Consumer consumer;
  if (size == 0) return 0;
  auto input = std::as_bytes(std::span(data + 1, size - 1));
  const auto write = [&](std::byte* to, std::size_t bytes) {
    const auto part = input.first(std::min(bytes, input.size()));
    std::memset(to, 0, bytes);
    std::ranges::copy(part, to);
    input = input.subspan(part.size());
  };
  // What can be in use of it: not the rest of the page that its consumer alone writes.
  write(consumer.ring.data() + shm::kRingPart, sizeof(shm::RingHeader) - shm::kRingPart);
  write(consumer.ring.data(), shm::kLine);
  write(consumer.ring.data() + sizeof(shm::RingHeader), consumer.ring.size() - sizeof(shm::RingHeader));
  write(consumer.peer.data() + sizeof(shm::ArenaHeader), kBlocksBytes);
  shm::RingHeader* header = shm::attach_ring(consumer.ring.data(), consumer.ring.size(), kLimit);
  if (!header) return 0;
  const shm::RingReader reader(header, kLimit);
  Inlet inlet(consumer.lane, consumer.spec.ends[0], consumer.control.counters(0), reader, nullptr, shm::Doorbell(),
              consumer.arenas, {&consumer.control.header(), true});
  take_all(inlet, data[0] % 2 != 0);
  (void)shm::frames_put(*header, kLimit);
  return 0;
}
