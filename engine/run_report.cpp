// The end of a run: what is left in rings goes back to its arenas, elements let go of the run, and the report is
// written.
#include <algorithm>
#include <map>
#include <ranges>
#include <set>

#include "engine/bottleneck.hpp"
#include "engine/overflow.hpp"
#include "engine/run.hpp"
#include "engine/sandbox.hpp"

namespace weir::engine {

namespace {

std::string refusal_text(const ElementReport& element) {
  std::string text = "the sandbox of '" + element.name + "' refused what its worker tried: ";
  for (const std::string& refused : element.refused) text += (&refused == &element.refused.front() ? "" : "; ") + refused;
  return text;
}

}  // namespace

void Run::conclude() {
  end_ns_ = monotonic_ns();
  write_report();
  for (const auto& worker : plan_.workers) Wiring::connect(*worker.parallelized, {});
  for (std::uint32_t lane = 1; lane < lanes_.size(); ++lane)
    if (plan_.lanes[lane].mode == Mode::process &&
        controls_[lane].header().state.load(std::memory_order_acquire) < LaneState::ended)  // SYNC lane.state (acquire)
      memory_->shares_are_exact = false;
  const bool abandoned = std::ranges::any_of(lanes_, [](const LaneRun& lane) { return lane.killed && lane.lane; });
  if (!abandoned) {
    islands_.clear();
    for (LaneRun& lane : lanes_) lane.lane.reset();
    release_left_frames();
  }
  // An abandoned thread may drop its shares, and this run, while elements still hold frames.
  if (abandoned || holds_frames(*memory_)) pipeline_memory_->kept.push_back(memory_);
  tell_elements_of_the_end();
  if (signals_) {
    forget_on_signal(wake_fd_);
    signals_.reset();
  }
  pipeline_memory_->in_use = false;
  pipeline_memory_->in_use.notify_all();
}

void Run::tell_elements_of_the_end() {
  for (const auto& element : pipeline_.elements()) Wiring::run_ended(*element);
}

// Both ends of every ring are gone: the shares of frames that nobody took are dropped here.
void Run::release_left_frames() {
  shm::ArenaTable arenas;
  for (const auto& [lane, segment] : memory_->arenas) arenas.set(lane, segment);
  for (std::uint32_t i = 0; i < plan_.links.size(); ++i) {
    const PlannedLink& link = plan_.links[i];
    if (!link.has_ring()) continue;
    // A consumer that was killed may have taken, and dropped, frames above the head it had published: then their
    // shares stay, and the memory with them.
    // SYNC lane.state (acquire): pairs with the end of Lane::run.
    if (controls_[link.consumer_lane].header().state.load(std::memory_order_acquire) < LaneState::ended &&
        !plan_.lanes[link.consumer_lane].journal)
      continue;
    const bool crosses = plan_.lanes[link.producer_lane].mode == Mode::process ||
                         plan_.lanes[link.consumer_lane].mode == Mode::process;
    if (link.overflow != Overflow::block) {
      shm::OverflowHeader* header = memory_->overflow_rings.at(i).overflow_ring(link.capacity);
      if (!header) continue;
      const shm::OverflowView view(header, link.capacity);
      const shm::OverflowAccount account = shm::account_of(view);
      for (std::uint64_t pos = account.front; pos != account.put; ++pos)
        (void)take_back(view.slot(pos), arenas, crosses);
      continue;
    }
    shm::RingHeader* header = memory_->rings.at(i).ring(link.capacity);
    if (!header) continue;  // scribbled over; the memory goes as a whole
    auto* slots = reinterpret_cast<shm::Slot*>(header + 1);
    const std::uint64_t end = shm::frames_put(*header, link.capacity);
    // SYNC ring.release (acquire): pairs with the consumer's last release
    std::uint64_t pos = header->head.load(std::memory_order_acquire);
    if (end - pos > link.capacity) continue;
    for (; pos != end; ++pos) (void)take_back(slots[pos & (shm::ring_slots(link.capacity) - 1)], arenas, crosses);
  }
}

void Run::write_report() {
  {
    std::scoped_lock lock(mutex_);
    report_.errors = error_texts_;
  }
  // SYNC run.sinks_ended (acquire): pairs with drain_workers
  report_.completed = report_.errors.empty() && sinks_ended_.load(std::memory_order_acquire);
  report_.seconds = static_cast<double>(end_ns_ - start_ns_) * 1e-9;
  std::uint64_t first = UINT64_MAX, last = 0;
  for (std::uint32_t i = 0; i < controls_.size(); ++i) {
    const ControlHeader& header = controls_[i].header();
    const std::uint64_t first_here = header.first_frame_ns.load(std::memory_order_relaxed);
    if (first_here != 0) first = std::min(first, first_here);
    last = std::max(last, header.last_eos_ns.load(std::memory_order_relaxed));
    report_.frames += header.sink_frames.load(std::memory_order_relaxed);
    report_.latency.merge(header.latency);
    if (i == kMainLane) lanes_[i].cpu_seconds = static_cast<double>(header.cpu_ns.load(std::memory_order_relaxed)) * 1e-9;
    report_.lanes.push_back({plan_.lanes[i].name, lanes_[i].cpu_seconds, header.parks.load(std::memory_order_relaxed)});
    report_.cpu_seconds += lanes_[i].cpu_seconds;
  }
  if (first != UINT64_MAX && first > start_ns_) report_.seconds_to_first_frame = static_cast<double>(first - start_ns_) * 1e-9;
  if (last != 0 && end_ns_ > last) report_.seconds_after_last = static_cast<double>(end_ns_ - last) * 1e-9;
  report_links();
  report_elements();
  report_bottleneck();
  std::scoped_lock lock(mutex_);
  StopReport stop = stop_report(true, report_.links);
  for (std::size_t i = 0; i < report_.elements.size(); ++i)
    report_.elements[i].ended = stop.elements[i].ending == Ending::ended;
  if (ending_ns_ != 0) report_.stop = std::move(stop);
}

void Run::report_elements() {
  std::map<const Element*, const PlannedWorker*> workers;
  for (const PlannedWorker& worker : plan_.workers) workers[worker.element] = &worker;
  for (const auto& element : pipeline_.elements()) {
    ElementReport report{element->name(), element->type_name(), Mode::main, "main"};
    if (const auto it = workers.find(element.get()); it != workers.end()) {
      const PlannedWorker& worker = *it->second;
      const LaneRun& lane = lanes_[worker.lane];
      report.mode = plan_.lanes[worker.lane].mode;
      report.lane = plan_.lanes[worker.lane].name;
      report.pid = lane.child.pid > 0 ? lane.child.pid : 0;
      report.polls = control_of(worker).polls.load(std::memory_order_relaxed);
      report.killed = lane.killed;
      report.restarts = lane.restarts;
      report.refused = refusals_in(controls_[worker.lane].header().sandbox);
      report.dead_letters = lane.dead_letters;
    }
    if (!report.refused.empty()) report_.warnings.push_back(refusal_text(report));
    report_.elements.push_back(std::move(report));
  }
}

namespace {

/// At least until one of the lanes got a thread of its own.
bool on_one_thread(const Plan& plan, const PlannedLink& link) {
  return std::ranges::any_of(plan.crews, [&](const std::vector<std::uint32_t>& crew) {
    return std::ranges::find(crew, link.producer_lane) != crew.end() &&
           std::ranges::find(crew, link.consumer_lane) != crew.end();
  });
}

}  // namespace

void Run::report_bottleneck() {
  // The commands of a source and the results of a sink come when they come: nobody is slow who waits for them.
  std::set<std::uint32_t> beside;
  for (const PlannedWorker& worker : plan_.workers) {
    const Element& element = *worker.element;
    if (element.sink_pads().empty()) beside.insert(worker.element_outlets.begin(), worker.element_outlets.end());
    if (element.source_pads().empty()) beside.insert(worker.element_inlets.begin(), worker.element_inlets.end());
  }
  std::vector<LinkWaits> links;
  std::vector<const LinkReport*> reports;
  for (std::uint32_t i = 0; i < plan_.links.size(); ++i) {
    if (beside.contains(i)) continue;
    const LinkReport& report = report_.links[i];
    links.push_back({plan_.links[i].producer_lane, plan_.links[i].consumer_lane, report.full, report.empty,
                     report.delivered, on_one_thread(plan_, plan_.links[i])});
    reports.push_back(&report);
  }
  const Bound bound = find_bound(links);
  if (bound.link) {
    const LinkReport& link = *reports[*bound.link];
    report_.tight_queue = TightQueue{link.source, link.sink, link.capacity, link.full, link.empty};
  }
  if (!bound.lane) return;
  Bottleneck bottleneck{plan_.lanes[bound.lane->lane].name, {}, bound.lane->waited_for, bound.lane->waited};
  for (const ElementReport& element : report_.elements)
    if (element.lane == bottleneck.lane) bottleneck.elements.push_back(element.name);
  report_.bottleneck = std::move(bottleneck);
}

}  // namespace weir::engine
