#include "engine/placement.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include <sched.h>

#include "engine/cores.hpp"

namespace weir::engine {

namespace {

std::string text_of(const Cpus& cpus) { return "cpu=" + cpus_text(cpus); }
std::string text_of(Wait wait) { return "wait=" + std::string(to_string(wait)); }

/// Without doubles, so that equal sets are equal lists.
Cpus sorted(Cpus cpus) {
  std::ranges::sort(cpus);
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

/// Who has asked for something first, lane by lane, and what.
template <class T>
class Asked {
 public:
  explicit Asked(std::size_t lanes) : by_(lanes) {}

  void ask(T& field, const T& value, const Element& element, const LaneSpec& lane) {
    const Element*& first = by_[lane.lane];
    if (first && field != value)
      throw StartError("elements '" + first->name() + "' and '" + element.name() + "' share lane " + lane.name +
                       ", but ask for " + text_of(field) + " and " + text_of(value) +
                       "; give both the same, or one of them another lane");
    if (!first) first = &element;
    field = value;
  }

 private:
  std::vector<const Element*> by_;
};

void refuse_on_main_lane(const Element& element) {
  const ElementOptions& options = element.options();
  if (!options.wait && options.cpu.empty()) return;
  const std::string what = options.wait ? text_of(*options.wait) : text_of(options.cpu);
  throw StartError("element '" + element.name() + "' asks for " + what +
                   ", but works on the main lane, which is not its own; leave that out, or set the pipeline's " +
                   (options.wait ? "wait=" : "main_cpu="));
}

void check_cpus(const std::string& who, const Cpus& cpus) {
  const Cpus allowed = allowed_cpus();
  for (const unsigned cpu : cpus)
    if (!std::ranges::binary_search(allowed, cpu))
      throw StartError(who + cpus_text(cpus) + ": this program may not run on CPU " + std::to_string(cpu) +
                       "; allowed are " + cpus_text(allowed));
}

void set_cpus(const Cpus& cpus, const std::string& who) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned cpu : cpus)
    if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0)
    throw StartError("lane " + who + " can't run on the CPUs " + cpus_text(cpus) + ": " +
                     std::strerror(errno) + "; has this program's set of CPUs changed?");
}

}  // namespace

void place_lanes(Plan& plan, const Pipeline& pipeline, const Options& options) {
  for (LaneSpec& lane : plan.lanes) lane.wait = options.wait;
  check_cpus("main_cpu=", options.main_cpu);
  plan.lanes[kMainLane].cpus = sorted(options.main_cpu);
  for (const auto& element : pipeline.elements())
    if (!Wiring::parallelized(*element)) refuse_on_main_lane(*element);

  Asked<Cpus> cpus(plan.lanes.size());
  Asked<Wait> waits(plan.lanes.size());
  for (const PlannedWorker& worker : plan.workers) {
    const Element& element = *worker.element;
    LaneSpec& lane = plan.lanes[worker.lane];
    if (lane.lane == kMainLane) {
      refuse_on_main_lane(element);
      continue;
    }
    if (const Cpus wanted = sorted(element.options().cpu); !wanted.empty()) {
      check_cpus("element '" + element.name() + "': cpu=", wanted);
      cpus.ask(lane.cpus, wanted, element, lane);
    }
    if (const auto wanted = element.options().wait) waits.ask(lane.wait, *wanted, element, lane);
  }
}

void take_place(const LaneSpec& lane) {
  if (!lane.cpus.empty()) set_cpus(lane.cpus, lane.name);
}

BorrowedPlace::BorrowedPlace(const LaneSpec& lane) {
  if (!lane.cpus.empty()) cpus_before_ = allowed_cpus();
  take_place(lane);
}

BorrowedPlace::~BorrowedPlace() {
  try {
    if (!cpus_before_.empty()) set_cpus(cpus_before_, "main");
  } catch (const std::exception&) {
    // they are not this program's any more: the thread stays where it is
  }
}

}  // namespace weir::engine
