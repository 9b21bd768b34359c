// A control block that its other side has scribbled over, as a worker attaches to it and as the parent reads it.
//
// The input: as often as there are bytes for it, up to its first byte of times, where to write what into an honest
// block of one worker and one link end; then the description of the lane.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "engine/control.hpp"
#include "weir/weir.hpp"

using namespace weir::engine;

namespace {

struct Scribble {
  std::uint16_t at, bytes;
  std::uint64_t pattern;
};
constexpr std::size_t kScribbleBytes = 12;  // in the input
constexpr std::size_t kTables = sizeof(ControlHeader) + sizeof(WorkerControl) + sizeof(LinkCounters);

std::vector<std::byte> honest_block(std::span<const std::byte> spec) {
  ControlHeader header;
  header.prologue.header_bytes = sizeof header;
  header.prologue.build_id = build_id();
  header.prologue.total_bytes = kTables + spec.size();
  header.spec_bytes = spec.size();
  header.workers = header.ends = 1;
  std::vector<std::byte> block(kTables);
  std::memcpy(block.data(), static_cast<const void*>(&header), sizeof header);
  block.insert(block.end(), spec.begin(), spec.end());
  return block;
}

void scribble(std::vector<std::byte>& block, std::span<const std::byte> how) {
  Scribble it;
  std::memcpy(&it.at, how.data(), 2);
  std::memcpy(&it.bytes, how.data() + 2, 2);
  std::memcpy(&it.pattern, how.data() + 4, 8);
  for (std::size_t i = 0; i < it.bytes && it.at + i < block.size(); ++i)
    block[it.at + i] = static_cast<std::byte>(it.pattern >> i % 8 * 8);
}

void read_as_parent(const Control& control) {
  if (refusal_in(control.header().prologue).size() > sizeof(Prologue::refusal)) std::abort();
  if (const auto error = take_error(control.header().error); error && error->text.size() > sizeof(ErrorRecord::text))
    std::abort();
  weir::LatencyHistogram latency;
  latency.merge(control.header().latency);
  for (const double q : {0.0, 0.5, 0.999, 1.0}) (void)latency.quantile(q);
}

void attach(int fd) {
  const Control control = Control::attach(fd);
  read_as_parent(control);
  const LaneSpec spec = control.spec();
  for (std::size_t i = 0; i < spec.workers.size(); ++i) control.worker(i).polls += 1;
  for (std::size_t i = 0; i < spec.ends.size(); ++i) control.counters(i).left += 1;
  if (LaneSpec::decode(spec.encode()).encode() != spec.encode()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int fd = ::memfd_create("control", 0);
  auto input = std::as_bytes(std::span(data, size));
  const std::size_t times = size == 0 ? 0 : std::min<std::size_t>(data[0] % 5, (size - 1) / kScribbleBytes);
  if (size != 0) input = input.subspan(1);
  std::vector<std::byte> block = honest_block(input.subspan(times * kScribbleBytes));
  for (std::size_t i = 0; i < times; ++i) scribble(block, input.subspan(i * kScribbleBytes, kScribbleBytes));
  if (::ftruncate(fd, static_cast<off_t>(block.size())) != 0 ||
      ::pwrite(fd, block.data(), block.size(), 0) != static_cast<ssize_t>(block.size()))
    std::abort();
  try {
    attach(fd);
  } catch (const weir::Error&) {
  }
  refuse(fd, "it is refused");
  return 0;
}
