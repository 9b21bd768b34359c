#include "engine/placement.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <thread>

#include <sched.h>
#include <sys/resource.h>

#include "engine/start_thread.hpp"

namespace weir::engine {

namespace {

std::string text_of(const Cpus& cpus) { return "cpu=" + cpus_text(cpus); }
std::string text_of(int priority) { return "realtime=" + std::to_string(priority); }
std::string text_of(Wait wait) { return "wait=" + std::string(to_string(wait)); }

std::uint64_t priority_limit() noexcept {
  rlimit limit{};
  return ::getrlimit(RLIMIT_RTPRIO, &limit) == 0 ? limit.rlim_cur : 0;
}

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
  const auto refuse = [&](const std::string& what, const char* instead) {
    throw StartError("element '" + element.name() + "' asks for " + what +
                     ", but works on the main lane, which is not its own; leave that out, or set the pipeline's " +
                     instead);
  };
  if (options.wait) refuse(text_of(*options.wait), "wait=");
  if (!options.cpu.empty()) refuse(text_of(options.cpu), "main_cpu=");
  if (options.realtime != 0) refuse(text_of(options.realtime), "main_realtime=");
}

// In equal parts: who spins is known while it runs only, and lanes in processes have no count in common.
void share_out_spinning(Plan& plan, std::optional<double> most) {
  if (!most) return;
  if (!(*most >= 0 && *most <= 1))
    throw StartError("max_spin_cpu=" + std::to_string(*most) +
                     " is no part of a core; it takes a number from 0 to 1");
  for (LaneSpec& lane : plan.lanes) lane.spin_share = *most / static_cast<double>(plan.lanes.size());
}

void check_cpus(const std::string& who, const Cpus& cpus) {
  const Cpus allowed = machine::allowed_cpus();
  for (const unsigned cpu : cpus)
    if (!std::ranges::binary_search(allowed, cpu))
      throw StartError(who + cpus_text(cpus) + ": this program may not run on CPU " + std::to_string(cpu) +
                       "; allowed are " + cpus_text(allowed));
}

void check_priority(const std::string& who, int priority) {
  if (priority < 1 || priority > 99)
    throw StartError(who + ": " + text_of(priority) + " is no priority; it takes a number from 1 to 99");
  const std::string refusal = refusal_of_priority(who, static_cast<std::uint32_t>(priority));
  if (!refusal.empty()) throw StartError(refusal);
}

std::string name_of(const Plan& plan, const LaneSpec& lane) {
  std::string names;
  for (const WorkerSpec& worker : plan.lanes[lane.lane].workers) names += (names.empty() ? "" : ", ") + worker.element;
  return lane.lane == kMainLane ? "the main lane" : "the lane of '" + names + "'";
}

// A lane that never sleeps and that nothing else can interrupt takes its CPU away from all other programs, the shell
// among them. So it says which CPU that is, and one stays free.
void check_that_a_cpu_stays_free(const Plan& plan) {
  std::set<unsigned> taken;
  const LaneSpec* last = nullptr;
  for (const LaneSpec& lane : plan.lanes) {
    if (lane.priority == 0 || (lane.wait != Wait::spin && lane.wait != Wait::yield)) continue;
    const std::string never = name_of(plan, lane) + " asks for " + text_of(static_cast<int>(lane.priority)) + " and " +
                              text_of(lane.wait) + ", which never sleeps";
    if (lane.cpus.empty())
      throw StartError(never + ": it could take every CPU from all other programs; say on which it may with " +
                       (lane.lane == kMainLane ? "main_cpu=" : "cpu=") + ", or take wait=adaptive");
    taken.insert(lane.cpus.begin(), lane.cpus.end());
    last = &lane;
  }
  if (!last || !std::ranges::includes(taken, machine::allowed_cpus())) return;
  throw StartError(name_of(plan, *last) + " and others with a real-time priority that never sleep would take all CPUs" +
                   " (" + cpus_text(machine::allowed_cpus()) +
                   "), and the machine would hang; leave one free, or take wait=adaptive");
}

// A program that an element starts does not inherit the priority; the main lane's thread could not give that up again.
void set_priority(const LaneSpec& lane) {
  sched_param parameter{};
  parameter.sched_priority = static_cast<int>(lane.priority);
  const int reset = lane.lane == kMainLane ? 0 : SCHED_RESET_ON_FORK;
  if (::sched_setscheduler(0, SCHED_FIFO | reset, &parameter) != 0)
    throw StartError(refusal_of_priority("lane " + lane.name, lane.priority, errno, priority_limit()));
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
  share_out_spinning(plan, options.max_spin_cpu);
  LaneSpec& main = plan.lanes[kMainLane];
  check_cpus("main_cpu=", options.main_cpu);
  main.cpus = sorted(options.main_cpu);
  if (options.main_realtime != 0) check_priority("the main lane", options.main_realtime);
  main.priority = static_cast<std::uint32_t>(options.main_realtime);
  for (const auto& element : pipeline.elements())
    if (!Wiring::parallelized(*element)) refuse_on_main_lane(*element);

  Asked<Cpus> cpus(plan.lanes.size());
  Asked<Wait> waits(plan.lanes.size());
  Asked<int> priorities(plan.lanes.size());
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
    if (const int wanted = element.options().realtime; wanted != 0) {
      check_priority("element '" + element.name() + "'", wanted);
      int priority = static_cast<int>(lane.priority);
      priorities.ask(priority, wanted, element, lane);
      lane.priority = static_cast<std::uint32_t>(priority);
    }
  }
  check_that_a_cpu_stays_free(plan);
}

std::string refusal_of_priority(const std::string& who, std::uint32_t priority, int error, std::uint64_t limit) {
  const std::string wanted = std::to_string(priority);
  std::string text = who + " can't have realtime=" + wanted + ": " + std::strerror(error) + ". ";
  if (error != EPERM) return text + "Leave it out";
  if (limit >= priority)
    return text + "The limit (RLIMIT_RTPRIO) is " + std::to_string(limit) +
           ", so the control group of this program forbids it: give it a real-time budget (cpu.rt_runtime_us)";
  return text + "The limit (RLIMIT_RTPRIO) is " + std::to_string(limit) + "; raise it with 'ulimit -r " + wanted +
         "', for a user with the line 'USER - rtprio " + wanted +
         "' in /etc/security/limits.conf, for a service with LimitRTPRIO=" + wanted +
         "; or give the program the capability CAP_SYS_NICE";
}

std::string refusal_of_priority(const std::string& who, std::uint32_t priority) {
  int error = 0;
  start_thread("a try of real-time priority", [&] {
    sched_param parameter{};
    parameter.sched_priority = static_cast<int>(priority);
    if (::sched_setscheduler(0, SCHED_FIFO, &parameter) != 0) error = errno;
  }).join();
  return error == 0 ? "" : refusal_of_priority(who, priority, error, priority_limit());
}

void take_place(const LaneSpec& lane) {
  if (!lane.cpus.empty()) set_cpus(lane.cpus, lane.name);
  if (lane.priority != 0) set_priority(lane);
}

BorrowedPlace::BorrowedPlace(const LaneSpec& lane) {
  if (!lane.cpus.empty()) cpus_before_ = machine::allowed_cpus();
  if (lane.priority != 0) {
    sched_param parameter{};
    ::sched_getparam(0, &parameter);
    policy_before_ = ::sched_getscheduler(0);
    priority_before_ = parameter.sched_priority;
  }
  take_place(lane);
}

BorrowedPlace::~BorrowedPlace() {
  if (policy_before_ >= 0) {
    sched_param parameter{};
    parameter.sched_priority = priority_before_;
    ::sched_setscheduler(0, policy_before_, &parameter);  // to give up a priority is always allowed
  }
  try {
    if (!cpus_before_.empty()) set_cpus(cpus_before_, "main");
  } catch (const std::exception&) {
    // they are not this program's any more: the thread stays where it is
  }
}

}  // namespace weir::engine
