// The ring by itself: a round trip beside a raw ping-pong over two cache lines, and throughput. Compare lines of one
// run only: cores of shared machines are near or far from minute to minute.
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>

#include "engine/lane.hpp"
#include "shm/ring.hpp"
#include "shm/segment.hpp"

namespace {

using namespace weir;

void pin(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core % std::thread::hardware_concurrency(), &set);
  ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
}

struct alignas(64) Line {
  std::atomic<std::uint64_t> value{0};
};

void RawPingPong(benchmark::State& state) {
  auto lines = std::make_unique<Line[]>(2);
  std::atomic<bool> stop{false};
  std::thread echo([&] {
    pin(1);
    for (std::uint64_t n = 1; !stop.load(std::memory_order_relaxed);)
      if (lines[0].value.load(std::memory_order_acquire) == n) lines[1].value.store(n++, std::memory_order_release);
  });
  pin(0);
  std::uint64_t n = 0;
  for (auto _ : state) {
    lines[0].value.store(++n, std::memory_order_release);
    while (lines[1].value.load(std::memory_order_acquire) != n) {}
  }
  stop = true;
  echo.join();
}
BENCHMARK(RawPingPong)->UseRealTime();

/// A ring in a segment of its own; the same for both ends, in one process or two.
struct Ring {
  Ring(shm::Segment::Sharing sharing, std::size_t frames)
      : segment(shm::Segment::create(sharing, shm::ring_bytes(frames), "ring")),
        header(shm::create_ring(segment.data(), frames)),
        limit(frames) {}
  shm::Segment segment;
  shm::RingHeader* header;
  std::size_t limit;
};

void take(shm::RingReader& reader, detail::Descriptor& frame) {
  while (!reader.has_frame()) reader.release();
  if (reader.take(frame)) reader.release();
}
void put(shm::RingWriter& writer, const detail::Descriptor& frame) {
  while (!writer.has_room()) engine::cpu_relax();
  writer.put(frame);
}

void RingRoundTrip(benchmark::State& state) {
  const auto sharing = state.range(0) != 0 ? shm::Segment::Sharing::shared : shm::Segment::Sharing::private_memory;
  Ring there(sharing, 128), back(sharing, 128);
  std::thread echo([&] {
    pin(1);
    shm::RingReader reader(there.header, there.limit);
    shm::RingWriter writer(back.header, back.limit);
    detail::Descriptor frame{};
    do {
      take(reader, frame);
      put(writer, frame);
    } while (!(frame.flags & detail::kEos));
  });
  pin(0);
  shm::RingWriter writer(there.header, there.limit);
  shm::RingReader reader(back.header, back.limit);
  detail::Descriptor frame{};
  std::uint64_t sent = 0;
  for (auto _ : state) {
    frame.sequence = ++sent;
    put(writer, frame);
    take(reader, frame);
    if (frame.sequence != sent) state.SkipWithError("a frame came back changed");
  }
  frame.flags = detail::kEos;
  put(writer, frame);
  take(reader, frame);
  echo.join();
}
BENCHMARK(RingRoundTrip)->ArgName("shared")->Arg(0)->Arg(1)->UseRealTime();

void RingThroughput(benchmark::State& state) {
  const auto sharing = state.range(0) != 0 ? shm::Segment::Sharing::shared : shm::Segment::Sharing::private_memory;
  Ring ring(sharing, 1024);
  std::uint64_t sum = 0;
  std::thread consumer([&] {
    pin(1);
    shm::RingReader reader(ring.header, ring.limit);
    detail::Descriptor frame{};
    do {
      take(reader, frame);
      sum += frame.sequence;
    } while (!(frame.flags & detail::kEos));
  });
  pin(0);
  shm::RingWriter writer(ring.header, ring.limit);
  detail::Descriptor frame{};
  std::uint64_t sent = 0;
  for (auto _ : state) {
    frame.sequence = ++sent;
    put(writer, frame);
  }
  frame.flags = detail::kEos;
  frame.sequence = 0;
  put(writer, frame);
  consumer.join();
  if (sum != sent * (sent + 1) / 2) state.SkipWithError("frames were lost or doubled");
  state.SetItemsProcessed(static_cast<std::int64_t>(sent));
}
BENCHMARK(RingThroughput)->ArgName("shared")->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
