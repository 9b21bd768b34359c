// Which thread lanes begin on one thread. Lanes that ask for the same place are a kind; a thread has lanes of one kind.
#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "engine/placement.hpp"
#include "shm/doorbell.hpp"

namespace weir::engine {

namespace {

using Lanes = std::vector<std::uint32_t>;

/// Thread lanes that may share a thread, in topological order.
struct Kind {
  Lanes lanes;
  std::size_t threads = 1;
  std::size_t most = 1;  ///< threads that it has a use for
};

class CrewPlanner {
 public:
  CrewPlanner(Plan& plan, const Options& options, const machine::Cores& cores)
      : plan_(plan), options_(options), cores_(cores) {}

  void plan() {
    find_kinds();
    if (kinds_.empty()) return;
    share_out_threads();
    for (const Kind& kind : kinds_) cut(kind);
    plan_.threads_why = reason();
  }

 private:
  void find_kinds() {
    std::map<std::tuple<Cpus, std::uint32_t, Wait>, std::size_t> known;
    for (const LaneSpec& lane : plan_.lanes) {
      if (lane.mode != Mode::thread) continue;
      const auto [it, fresh] = known.try_emplace({lane.cpus, lane.priority, lane.wait}, kinds_.size());
      if (fresh) kinds_.emplace_back();
      kinds_[it->second].lanes.push_back(lane.lane);
      ++thread_lanes_;
    }
    for (Kind& kind : kinds_) {
      const std::size_t cpus = plan_.lanes[kind.lanes.front()].cpus.size();
      kind.most = cpus == 0 ? kind.lanes.size() : std::min(kind.lanes.size(), cpus);
    }
  }

  // One for each kind; what is left goes first to those that may run anywhere.
  void share_out_threads() {
    const bool all_apart = !shm::Doorbell::can_park_on_several() || options_.threads >= thread_lanes_;
    std::size_t left = wanted_threads() - std::min(wanted_threads(), kinds_.size());
    for (const bool anywhere : {true, false})
      for (Kind& kind : kinds_) {
        if (plan_.lanes[kind.lanes.front()].cpus.empty() != anywhere) continue;
        const std::size_t more = std::min(left, kind.most - 1);
        kind.threads += more;
        left -= more;
      }
    for (Kind& kind : kinds_) {
      if (all_apart) kind.threads = kind.lanes.size();
      kind.threads = std::max(kind.threads, kind.lanes.size() / shm::Doorbell::kMostBells + 1);
    }
  }

  [[nodiscard]] std::size_t wanted_threads() const {
    if (options_.threads != 0) return options_.threads;
    const std::size_t others = main_lane_works() ? 1 : 0;
    return std::max<std::size_t>(cores_.usable(), others + 1) - others;
  }
  [[nodiscard]] bool main_lane_works() const {
    return !plan_.islands.empty() || !plan_.lanes[kMainLane].workers.empty();
  }

  [[nodiscard]] std::string reason() const {
    if (!shm::Doorbell::can_park_on_several()) return "this kernel lets a thread sleep on one bell only";
    if (options_.threads != 0) return "threads=" + std::to_string(options_.threads) + " by hand";
    return to_text(cores_) + (main_lane_works() ? ", 1 for the main lane" : "");
  }

  // The lanes are in topological order, so that to cut the list is to cut the graph; each cut is made where the fewest
  // frames cross it.
  void cut(const Kind& kind) {
    const Lanes& lanes = kind.lanes;
    std::size_t begin = 0;
    for (std::size_t left = std::min(kind.threads, lanes.size()); left > 0; --left) {
      const std::size_t end =
          left == 1 ? lanes.size() : cut_near(lanes, begin, begin + (lanes.size() - begin) / left, left);
      plan_.crews.emplace_back(lanes.begin() + static_cast<std::ptrdiff_t>(begin),
                               lanes.begin() + static_cast<std::ptrdiff_t>(end));
      begin = end;
    }
  }

  /// Where to end a crew that begins at `begin`: of the places near `ideal`, the one that the fewest frames cross.
  [[nodiscard]] std::size_t cut_near(const Lanes& lanes, std::size_t begin, std::size_t ideal,
                                     std::size_t crews) const {
    const std::vector<double> crossing = frames_across(lanes, begin);
    const std::size_t slack = (ideal - begin) / 2;
    constexpr std::size_t kMost = shm::Doorbell::kMostBells;  // lanes that one thread can wait for
    std::size_t best = ideal;
    for (std::size_t off = 1; off <= slack; ++off)
      for (const std::size_t cut : {ideal - off, ideal + off})
        if (cut > begin && cut + crews - 1 <= lanes.size() && cut - begin <= kMost &&
            lanes.size() - cut <= (crews - 1) * kMost && crossing[cut] < crossing[best])
          best = cut;
    return best;
  }

  /// Frames a second that cross each cut of the list, but for those from lanes before `begin`: they cross one anyway.
  [[nodiscard]] std::vector<double> frames_across(const Lanes& lanes, std::size_t begin) const {
    std::vector<double> across(lanes.size() + 1);
    const double unknown = usual_rate();
    for (const PlannedLink& link : plan_.links) {
      const auto from = std::ranges::find(lanes, link.producer_lane), to = std::ranges::find(lanes, link.consumer_lane);
      if (from == lanes.end() || to == lanes.end()) continue;
      const auto first = static_cast<std::size_t>(std::min(from, to) - lanes.begin());
      const auto last = static_cast<std::size_t>(std::max(from, to) - lanes.begin());
      if (first < begin) continue;
      for (std::size_t cut = first + 1; cut <= last; ++cut) across[cut] += link.frame_rate.value_or(unknown);
    }
    return across;
  }

  /// For links whose rate is not known: the mean of the others, so that none is preferred for that.
  [[nodiscard]] double usual_rate() const {
    double sum = 0, known = 0;
    for (const PlannedLink& link : plan_.links)
      if (link.frame_rate) sum += *link.frame_rate, ++known;
    return known == 0 ? 1 : sum / known;
  }

  Plan& plan_;
  const Options& options_;
  std::vector<Kind> kinds_;
  std::size_t thread_lanes_ = 0;
  const machine::Cores& cores_;
};

}  // namespace

void plan_crews(Plan& plan, const Options& options, const machine::Cores& cores) {
  CrewPlanner(plan, options, cores).plan();
}

}  // namespace weir::engine
