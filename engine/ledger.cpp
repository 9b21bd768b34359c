// The ledger of a run: what became of the frames of each link. A lane that has ended tells what it has put and taken;
// of one that has not, because its process has crashed or its thread hangs, the ring tells.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "engine/journal.hpp"
#include "engine/pad_tally.hpp"
#include "engine/run.hpp"
#include "shm/overflow_ring.hpp"

namespace weir::engine {

namespace {

/// What a ring says, of either kind.
struct RingAccount {
  std::uint64_t produced = 0;
  std::uint64_t taken = 0;
  std::uint64_t waiting = 0;
  std::uint64_t dropped = 0, dropped_samples = 0;
  std::uint64_t samples = 0;
};

/// Nothing if the memory holds no ring any more: it was scribbled over.
std::optional<RingAccount> account_of(const Memory& memory, std::uint32_t number, const PlannedLink& link) {
  if (link.overflow != Overflow::block) {
    shm::OverflowHeader* header = memory.overflow_rings.at(number).overflow_ring(link.capacity);
    if (!header) return std::nullopt;
    const shm::OverflowAccount account = shm::account_of(shm::OverflowView(header, link.capacity));
    return RingAccount{.produced = account.produced(),
                       .taken = account.taken(),
                       .waiting = account.put - account.front,
                       .dropped = account.refused + account.displaced,
                       .dropped_samples = account.dropped_samples,
                       .samples = header->ring.samples.load(std::memory_order_relaxed)};
  }
  const shm::RingHeader* ring = memory.rings.at(number).ring(link.capacity);
  if (!ring) return std::nullopt;
  const std::uint64_t put = shm::frames_put(*ring, link.capacity);
  const std::uint64_t head = ring->head.load(std::memory_order_acquire);  // SYNC ring.release (acquire)
  return RingAccount{.produced = put,
                     .taken = head,
                     .waiting = put - std::min(put, head),
                     .samples = ring->samples.load(std::memory_order_relaxed)};
}

/// In the frames that nobody has taken, when the lanes are over: what they say lies in their slots. Another process may
/// have written anything there; then this is a wrong figure.
std::uint64_t waiting_samples(const Memory& memory, std::uint32_t number, const PlannedLink& link) {
  std::uint64_t samples = 0;
  if (link.overflow != Overflow::block) {
    shm::OverflowHeader* header = memory.overflow_rings.at(number).overflow_ring(link.capacity);
    if (!header) return 0;
    const shm::OverflowView view(header, link.capacity);
    const shm::OverflowAccount account = shm::account_of(view);
    for (std::uint64_t pos = account.front; pos != account.put; ++pos) samples += samples_of(view.slot(pos));
    return samples;
  }
  const shm::RingHeader* ring = memory.rings.at(number).ring(link.capacity);
  if (!ring) return 0;
  const auto* slots = reinterpret_cast<const shm::Slot*>(ring + 1);
  const std::uint64_t end = shm::frames_put(*ring, link.capacity);
  std::uint64_t pos = ring->head.load(std::memory_order_acquire);  // SYNC ring.release (acquire)
  if (end - pos > link.capacity) return 0;
  for (; pos != end; ++pos) samples += samples_of(slots[pos & (shm::ring_slots(link.capacity) - 1)]);
  return samples;
}

/// A queue that went with its process: what the lane has told last of its two ends may be of different moments.
void close_account_of_crashed(LinkReport& report) {
  const std::uint64_t known = report.delivered + report.dropped + report.left;
  report.produced = std::max(report.produced, known);
  report.lost = report.produced - known;
}

}  // namespace

const LinkCounters& Run::counters_of(std::uint32_t link, std::uint32_t lane) const {
  const auto& ends = plan_.lanes[lane].ends;
  const auto it = std::ranges::find(ends, link, &LinkEnd::link);
  return controls_[lane].counters(static_cast<std::size_t>(it - ends.begin()));
}

// What its two lanes and its ring say; while lanes run, what they have said.
LinkReport Run::link_report(std::uint32_t number) const {
  const PlannedLink& link = plan_.links[number];
  const auto ended_well = [&](std::uint32_t lane) {
    return controls_[lane].header().state.load(std::memory_order_acquire) >= LaneState::ended;  // SYNC lane.state (acquire)
  };
  const auto crashed = [&](std::uint32_t lane) {
    return plan_.lanes[lane].mode == Mode::process && !lanes_[lane].running && !ended_well(lane);
  };
  const LinkCounters& out = counters_of(number, link.producer_lane);
  const LinkCounters& in = counters_of(number, link.consumer_lane);
  LinkReport report{link.source, link.sink, std::string(kind_of(plan_, link)), link.capacity, link.overflow};
  report.produced = out.produced.load(std::memory_order_relaxed);
  report.delivered = in.delivered.load(std::memory_order_relaxed);
  report.samples = in.samples.load(std::memory_order_relaxed);
  report.payload_copies = out.copies.load(std::memory_order_relaxed);
  report.dropped = out.dropped.load(std::memory_order_relaxed);
  report.gaps = in.gaps.load(std::memory_order_relaxed);
  report.left = in.left.load(std::memory_order_relaxed);
  report.full = out.full.load(std::memory_order_relaxed);
  report.empty = in.empty.load(std::memory_order_relaxed);
  if (!link.has_ring()) {
    if (crashed(link.producer_lane)) close_account_of_crashed(report);
    return report;
  }
  const auto ring = account_of(*memory_, number, link);
  if (!ring) return report;  // scribbled over: the lanes' own figures are all there is
  report.lost = lost_[number].load(std::memory_order_relaxed);
  report.dropped_by_policy = ring->dropped;
  report.dropped_samples = ring->dropped_samples;
  report.left += ring->waiting;
  if (!ended_well(link.producer_lane)) report.produced = ring->produced + report.dropped;
  if (!ended_well(link.consumer_lane)) {
    report.delivered = ring->taken - std::min(ring->taken, report.lost);
    report.left = ring->waiting;
    report.samples = ring->samples;
  }
  if (crashed(link.consumer_lane)) report.lost += std::exchange(report.left, 0);
  return report;
}

void Run::report_links() {
  std::map<std::string, std::uint64_t> samples_of_source;
  const auto add = [&](LinkReport link, bool from_source, std::uint64_t waiting) {
    if (link.dropped_by_policy != 0)
      report_.warnings.push_back("the link from '" + link.source + "' to '" + link.sink + "' has dropped " +
                                 std::to_string(link.dropped_by_policy) + " of " + std::to_string(link.produced) +
                                 " frames (overflow=" + std::string(to_string(link.overflow)) + ")");
    if (from_source)
      samples_of_source[link.source] =
          std::max(samples_of_source[link.source], link.samples + link.dropped_samples + waiting);
    report_.links.push_back(std::move(link));
  };
  for (std::uint32_t i = 0; i < plan_.links.size(); ++i) {
    const PlannedLink& link = plan_.links[i];
    add(link_report(i), link.from_source,
        link.from_source && link.has_ring() ? waiting_samples(*memory_, i, link) : 0);
  }
  for (const Island* island : islands_)
    for (const PadCounter& counter : island->counters()) {
      LinkReport report{counter.source->name(), counter.sink->name(), "main lane"};
      report.produced = report.delivered = counter.frames;
      report.samples = counter.samples;
      add(std::move(report), counter.source->element().sink_pads().empty(), 0);
    }
  for (const auto& [source, samples] : samples_of_source) report_.samples += samples;
}

}  // namespace weir::engine
