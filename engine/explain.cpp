#include "engine/explain.hpp"

#include <algorithm>
#include <optional>

#include "engine/counted.hpp"
#include "engine/memory.hpp"
#include "engine/wait_graph.hpp"

namespace weir::engine {

namespace {

class Explainer {
 public:
  Explainer(const Plan& plan, const Pipeline& pipeline) : plan_(plan), pipeline_(pipeline) {}

  Explanation explain() const {
    Explanation all;
    for (const PlannedLink& link : plan_.links) all.links.push_back(of(link));
    for (const IslandPlan& island : plan_.islands) add_turns(island, all.links);
    for (const LaneSpec& lane : plan_.lanes)
      if (lane.lane != kMainLane || !elements_of(lane).empty()) all.lanes.push_back(of(lane));
    all.warnings = find_narrow_queues(plan_, pipeline_);
    return all;
  }

 private:
  [[nodiscard]] LinkExplanation of(const PlannedLink& link) const {
    LinkExplanation text{link.source, link.sink, std::string(kind_of(plan_, link)), link.capacity};
    if (link.has_ring()) text.ring_bytes = ring_bytes_of(link.capacity, link.overflow);
    text.overflow = link.overflow;
    text.frame_rate = link.frame_rate;
    text.wait = plan_.lanes[link.consumer_lane].wait;
    text.why = link.inside_lane() ? why_inside(link) : why_across(link);
    return text;
  }

  /// Pads that hand on without a queue.
  void add_turns(const IslandPlan& island, std::vector<LinkExplanation>& links) const {
    const Step* before = nullptr;
    for (const Step& step : island.steps) {
      const bool taken = before && before->op == Step::Op::take && before->sink == step.sink;
      if (step.op == Step::Op::pull && !taken)
        links.push_back({.source = step.source->name(),
                         .sink = step.sink->name(),
                         .kind = "main lane",
                         .wait = plan_.lanes[kMainLane].wait,
                         .why = "both on the main lane, handed on within a turn",
                         .frame_rate = rate_of(*step.source)});
      before = &step;
    }
  }

  [[nodiscard]] std::string why_inside(const PlannedLink& link) const {
    if (link.producer_lane != kMainLane)
      return "both on lane " + name_of(link.producer_lane) + by_hand(link.producer_lane);
    if (link.by_hand) return "the element and its worker are both on the main lane";
    return "both on the main lane, in turns of their own";
  }

  [[nodiscard]] std::string why_across(const PlannedLink& link) const {
    const LaneSpec &from = plan_.lanes[link.producer_lane], &to = plan_.lanes[link.consumer_lane];
    if (from.mode == Mode::process && to.mode == Mode::process) return "mode=process: a process each";
    if (from.mode == Mode::process || to.mode == Mode::process)
      return "mode=process: " + name_of((from.mode == Mode::process ? from : to).lane) + " is apart from " +
             place_of(from.mode == Mode::process ? to : from);
    if (from.mode == Mode::main || to.mode == Mode::main)
      return "mode=thread: " + place_of(from) + " to " + place_of(to);
    if (crew_of(from.lane) == crew_of(to.lane)) return "both on " + place_of(from) + of_all();
    if (from.cpus != to.cpus) return different("cpu=", cpus_text(from.cpus), cpus_text(to.cpus));
    if (from.priority != to.priority)
      return different("realtime=", std::to_string(from.priority), std::to_string(to.priority));
    if (from.wait != to.wait) return different("wait=", to_string(from.wait), to_string(to.wait));
    return place_of(from) + " to " + place_of(to) + of_all();
  }

  static std::string different(const char* what, std::string_view from, std::string_view to) {
    return "a thread each: " + (what + std::string(from)) + " and " + what + std::string(to);
  }

  [[nodiscard]] LaneExplanation of(const LaneSpec& lane) const {
    LaneExplanation text{.name = lane.name,
                         .runs_on = lane.mode == Mode::process ? "a process" : place_of(lane),
                         .elements = elements_of(lane),
                         .cpus = lane.cpus,
                         .realtime = static_cast<int>(lane.priority),
                         .wait = lane.wait,
                         .why = {}};
    if (lane.mode == Mode::main) text.runs_on = "the caller's thread";
    text.why = lane.mode == Mode::main     ? "the pipeline's own loop"
               : lane.mode == Mode::thread ? "mode=thread" + by_hand(lane.lane) + "; " + threads() + ": " + plan_.threads_why
                                           : "mode=process" + by_hand(lane.lane);
    return text;
  }

  [[nodiscard]] std::vector<std::string> elements_of(const LaneSpec& lane) const {
    std::vector<std::string> names;
    for (const WorkerSpec& worker : lane.workers) names.push_back(worker.element);
    if (lane.lane != kMainLane) return names;
    for (const auto& element : pipeline_.elements()) {
      const bool turns = std::ranges::any_of(plan_.islands, [&](const IslandPlan& island) {
        return std::ranges::find(island.steps, element.get(), &Step::element) != island.steps.end();
      });
      if (turns && std::ranges::find(names, element->name()) == names.end()) names.push_back(element->name());
    }
    return names;
  }

  /// The number that put workers on the lane, where it was put there by hand.
  [[nodiscard]] std::optional<std::size_t> hand_of(std::uint32_t lane) const {
    for (const PlannedWorker& worker : plan_.workers)
      if (worker.lane == lane && lane != kMainLane && worker.element->options().lane)
        return worker.element->options().lane;
    return std::nullopt;
  }
  [[nodiscard]] std::string by_hand(std::uint32_t lane) const {
    const auto number = hand_of(lane);
    return number ? ", lane=" + std::to_string(*number) + " by hand" : "";
  }
  [[nodiscard]] std::string threads() const {
    return counted(plan_.crews.size(), "worker thread");
  }
  [[nodiscard]] std::string of_all() const {
    return " of " + std::to_string(plan_.crews.size()) + ": " + plan_.threads_why;
  }
  [[nodiscard]] const std::string& name_of(std::uint32_t lane) const { return plan_.lanes[lane].name; }
  [[nodiscard]] std::size_t crew_of(std::uint32_t lane) const {
    const auto has = [&](const auto& crew) { return std::ranges::find(crew, lane) != crew.end(); };
    return static_cast<std::size_t>(std::ranges::find_if(plan_.crews, has) - plan_.crews.begin());
  }
  [[nodiscard]] std::string place_of(const LaneSpec& lane) const {
    if (lane.mode == Mode::main) return "the main lane";
    if (lane.mode == Mode::process) return lane.name;
    return "worker thread " + std::to_string(crew_of(lane.lane) + 1);
  }

  const Plan& plan_;
  const Pipeline& pipeline_;
};

}  // namespace

Explanation explain(const Plan& plan, const Pipeline& pipeline) { return Explainer(plan, pipeline).explain(); }

}  // namespace weir::engine
