// What becomes of the elements of a run that is told to end: the supervisor's part, and what others ask of it.
#include "weir/stop_report.hpp"

#include <algorithm>
#include <array>

#include "engine/process_look.hpp"
#include "engine/run.hpp"
#include "shm/overflow_ring.hpp"

namespace weir {

namespace {
constexpr std::array<std::string_view, 6> kNames{"ended", "stopped", "killed", "abandoned", "failed", "running"};
}

std::string_view to_string(Ending ending) noexcept { return kNames.at(static_cast<std::size_t>(ending)); }

namespace engine {

namespace {

/// Frames that were never seen from outside their lane.
constexpr std::uint64_t kUnseen = UINT64_MAX;

bool belongs_to(const std::string& element, const std::string& pad) {
  return pad.size() > element.size() && pad.starts_with(element) && pad[element.size()] == ':';
}

}  // namespace

// What queues hold is noted once, when the end is asked for first.
void Run::note_ending() noexcept {
  std::scoped_lock lock(mutex_);
  if (ending_ns_ != 0) return;
  ending_ns_ = monotonic_ns();
  for (std::uint32_t i = 0; i < at_ending_.size(); ++i) at_ending_[i] = moment_of(i);
}

// relaxed, all: figures
Run::LinkMoment Run::moment_of(std::uint32_t number) const noexcept {
  const PlannedLink& link = plan_.links[number];
  LinkMoment moment{.delivered = kUnseen,
                    .dropped = counters_of(number, link.producer_lane).dropped.load(std::memory_order_relaxed),
                    .lost = lost_[number].load(std::memory_order_relaxed)};
  if (const auto ring = memory_->rings.find(number); ring != memory_->rings.end())
    moment.delivered = ring->second.header()->head.load(std::memory_order_relaxed) - moment.lost;
  const auto overflow = memory_->overflow_rings.find(number);
  if (overflow == memory_->overflow_rings.end()) return moment;
  shm::OverflowHeader* header = overflow->second.overflow_ring(link.capacity);
  if (!header) return moment;  // scribbled over
  const shm::OverflowAccount account = shm::account_of(shm::OverflowView(header, link.capacity));
  moment.delivered = account.taken();
  moment.dropped += account.refused + account.displaced;
  return moment;
}

// Seen before it is killed or abandoned.
std::string Run::stuck_text(std::uint32_t lane) const {
  const LaneRun& run = lanes_[lane];
  const LaneSpec& spec = plan_.lanes[lane];
  const std::string seen = spec.mode == Mode::process ? "; " + whereabouts(run.child.pid) : "";
  std::uint64_t told = 0;
  {
    std::scoped_lock lock(mutex_);
    told = stop_ns_;
  }
  const std::string since = std::to_string((monotonic_ns() - told) / 1'000'000) + " ms after the stop";
  if (is_starting(lane)) return "it had not attached " + since + seen;
  // relaxed: figures that may be a moment old
  if (controls_[lane].header().waiting.load(std::memory_order_relaxed) != 0)
    return "it still waited in a queue " + since + seen;
  if (spec.workers.size() > 1) return "one of the polls on its lane had not come back " + since + seen;
  const std::uint64_t polls = controls_[lane].worker(0).polls.load(std::memory_order_relaxed);
  return "in a poll, after " + std::to_string(polls) + (polls == 1 ? " other" : " others") +
         " that it has told of, which had not come back " + since + seen;
}

// Needs the mutex, as does what it calls.
StopReport Run::stop_report(bool over, const std::vector<LinkReport>& links) const {
  StopReport report{.over = over, .seconds = static_cast<double>(monotonic_ns() - ending_ns_) * 1e-9, .elements = {}};
  for (const auto& element : pipeline_.elements()) {
    const auto worker = std::ranges::find(plan_.workers, element.get(), &PlannedWorker::element);
    const bool has_worker = worker != plan_.workers.end();
    ElementStop& stop = report.elements.emplace_back();
    stop.element = element->name();
    stop.ending = ending_of(*element, has_worker ? &*worker : nullptr, over);
    if (has_worker) stop.where = lanes_[worker->lane].stuck;
    else if (stop.ending == Ending::running) stop.where = "the main lane is in code of one of its elements";
    count_frames(stop, links);
  }
  return report;
}

Ending Run::ending_of(const Element& element, const PlannedWorker* worker, bool over) const {
  if (std::ranges::find(failed_elements_, element.name()) != failed_elements_.end()) return Ending::failed;
  if (worker && worker->lane != kMainLane) {
    const LaneRun& lane = lanes_[worker->lane];
    if (lane.killed) return plan_.lanes[worker->lane].mode == Mode::process ? Ending::killed : Ending::abandoned;
    if (lane.running) return Ending::running;
    if (lane.failed) return Ending::failed;
  } else if (!over) {
    return Ending::running;  // what the main lane does can't be seen while it does it
  }
  // relaxed: its lane has ended
  bool ended = !worker || control_of(*worker).ended.load(std::memory_order_relaxed) != 0;
  if (over) ended &= std::ranges::all_of(islands_, [&](const Island* island) { return island->has_ended(element); });
  return ended ? Ending::ended : Ending::stopped;
}

void Run::count_frames(ElementStop& stop, const std::vector<LinkReport>& links) const {
  for (std::size_t i = 0; i < links.size(); ++i) {
    const LinkReport& link = links[i];
    if (!belongs_to(stop.element, link.sink)) continue;
    const LinkMoment before = i < at_ending_.size() ? at_ending_[i] : LinkMoment{.delivered = kUnseen};
    const std::uint64_t dropped = link.dropped + link.dropped_by_policy;
    stop.drained += link.delivered - std::min(link.delivered, before.delivered);
    stop.discarded += link.left + dropped - std::min(dropped, before.dropped) + link.lost - std::min(link.lost, before.lost);
  }
}

// For those who wait in stop() no longer than this.
void Run::tell_unfinished() {
  std::vector<LinkReport> links;
  for (std::uint32_t i = 0; i < plan_.links.size(); ++i) links.push_back(link_report(i));
  std::scoped_lock lock(mutex_);
  unfinished_ = stop_report(false, links);
}

StopReport Run::unfinished_stop() const {
  std::scoped_lock lock(mutex_);
  return unfinished_;
}

}  // namespace engine

}  // namespace weir
