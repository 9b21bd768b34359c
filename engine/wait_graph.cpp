#include "engine/wait_graph.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "engine/counted.hpp"

namespace weir::engine {

namespace {

using Node = std::pair<std::uint32_t, std::size_t>;  // a lane and one of its tasks

std::string element_of(const std::string& pad) { return pad.substr(0, pad.find(':')); }
std::string in_quotes(const std::string& text) { return "'" + text + "'"; }
std::string frames_text(std::uint64_t n) { return counted(n, "frame"); }

/// Whose queue_maxsize says how much the link holds; see Planner::capacity_of.
std::string owner_of(const Plan& plan, std::uint32_t number) {
  const PlannedLink& link = plan.links[number];
  for (const WorkerSpec& worker : plan.lanes[link.consumer_lane].workers)
    if (std::ranges::find(worker.inlets, number) != worker.inlets.end()) return worker.element;
  return element_of(link.source);
}

class WaitGraph {
 public:
  WaitGraph(const Plan& plan, const std::vector<bool>& in_poll, const std::vector<AwaitedLink>& awaited)
      : plan_(plan), in_poll_(in_poll), awaited_(awaited) {}

  /// Indices of waits, each of a task that the one before waits for; begins with one for room.
  [[nodiscard]] std::vector<std::size_t> shortest_circle() const {
    std::vector<std::size_t> shortest;
    for (std::size_t i = 0; i < awaited_.size(); ++i) {
      if (!awaited_[i].for_room) continue;
      std::vector<std::size_t> circle = way(awaited_for(i), waits(i));
      circle.insert(circle.begin(), i);
      const bool closes = circle.size() > 1 || awaited_for(i) == waits(i);
      if (closes && (shortest.empty() || circle.size() < shortest.size())) shortest = std::move(circle);
    }
    return shortest;
  }

 private:
  [[nodiscard]] Node waits(std::size_t i) const { return end_of(awaited_[i].link, awaited_[i].for_room); }
  [[nodiscard]] Node awaited_for(std::size_t i) const { return end_of(awaited_[i].link, !awaited_[i].for_room); }

  [[nodiscard]] Node end_of(std::uint32_t link, bool producer) const {
    const std::uint32_t lane = producer ? plan_.links[link].producer_lane : plan_.links[link].consumer_lane;
    return {lane, in_poll_[lane] ? 0 : task_of(lane, link, producer)};
  }

  [[nodiscard]] std::size_t task_of(std::uint32_t lane, std::uint32_t link, bool producer) const {
    const std::vector<WorkerSpec>& workers = plan_.lanes[lane].workers;
    const auto has = [&](const auto& list) { return std::ranges::find(list, link) != list.end(); };
    for (std::size_t i = 0; i < workers.size(); ++i)
      if (producer ? std::ranges::any_of(workers[i].outlets, has) : has(workers[i].inlets)) return i;
    const std::string element = element_of(producer ? plan_.links[link].source : plan_.links[link].sink);
    for (std::size_t i = 0; i < plan_.islands.size(); ++i)
      for (const Step& step : plan_.islands[i].steps)
        if (step.element->name() == element) return workers.size() + i;
    return workers.size() + plan_.islands.size();
  }

  /// The shortest way of waits from one task to another, breadth first; empty if there is none.
  [[nodiscard]] std::vector<std::size_t> way(Node from, Node to) const {
    std::map<Node, std::size_t> came_by;
    std::vector<Node> reached{from};
    for (std::size_t at = 0; at < reached.size() && !came_by.contains(to); ++at)
      for (std::size_t i = 0; i < awaited_.size(); ++i)
        if (waits(i) == reached[at] && came_by.try_emplace(awaited_for(i), i).second) reached.push_back(awaited_for(i));
    std::vector<std::size_t> steps;
    if (from == to || !came_by.contains(to)) return steps;
    for (Node node = to; node != from; node = waits(steps.front())) steps.insert(steps.begin(), came_by.at(node));
    return steps;
  }

  const Plan& plan_;
  const std::vector<bool>& in_poll_;
  const std::vector<AwaitedLink>& awaited_;
};

const Element* element_named(const Plan& plan, const std::string& name) {
  for (const PlannedWorker& worker : plan.workers)
    if (worker.element->name() == name) return worker.element;
  for (const IslandPlan& island : plan.islands)
    for (const Step& step : island.steps)
      if (step.element->name() == name) return step.element;
  return nullptr;
}

const SourcePad* pad_named(const Element& element, const std::string& name) {
  for (const SourcePad& pad : element.source_pads())
    if (pad.name() == name) return &pad;
  return nullptr;
}

std::optional<FrameNeed> need_of(const Plan& plan, const std::string& source) {
  const Element* element = element_named(plan, element_of(source));
  const SourcePad* pad = element ? pad_named(*element, source) : nullptr;
  if (!pad) return std::nullopt;
  const bool has_worker = std::ranges::find(plan.workers, element, &PlannedWorker::element) != plan.workers.end();
  return has_worker ? element->frames_needed(*pad) : FrameNeed{};
}

/// What the full queue of a circle has to hold.
struct Room {
  std::optional<std::size_t> capacity;
  std::string who;          // has not said what it needs
  bool keeps_pace = true;   // else no capacity is enough for long
};

// The one that waits for room gives each of its frames to both branches. The other branch takes so many more until it
// gives the one that is waited for: what is needed is counted back along it.
Room room_for(const Plan& plan, const std::vector<AwaitedLink>& circle,
              const std::vector<std::optional<LinkPositions>>& positions) {
  const PlannedLink& full = plan.links[circle.front().link];
  const PlannedLink& last = plan.links[circle.back().link];
  const bool splits = std::ranges::count(circle, true, &AwaitedLink::for_room) == 1 && last.source == full.source;
  if (circle.size() < 3 || !splits) return {};
  Room room;
  std::uint64_t need = 1;
  for (std::size_t i = 1; i + 1 < circle.size(); ++i) {
    const std::string& source = plan.links[circle[i].link].source;
    const auto frames = need_of(plan, source);
    if (!frames) return {std::nullopt, element_of(source)};
    const auto &given = positions[circle[i].link], &taken = positions[circle[i + 1].link];
    if (!given || !taken) return {};
    room.keeps_pace &= frames->each == 1;
    const std::uint64_t by_then = frames->first + (given->put + need - 1) * frames->each;
    if (by_then <= taken->taken) return {std::nullopt, element_of(source)};  // it has said less than it needs
    need = by_then - taken->taken;
  }
  room.capacity = full.capacity + need;
  return room;
}

Deadlock::Wait wait_of(const Plan& plan, const AwaitedLink& awaited) {
  const PlannedLink& link = plan.links[awaited.link];
  return {element_of(awaited.for_room ? link.source : link.sink), link.source, link.sink, awaited.for_room,
          link.capacity};
}

std::string text_of(const Deadlock::Wait& wait) {
  const std::string queue = in_quotes(wait.source) + " > " + in_quotes(wait.sink);
  return in_quotes(wait.element) + (wait.for_room ? " for room in " + queue + ", full with " + frames_text(wait.capacity)
                                                  : " for a frame from " + queue + ", empty");
}

std::string list_of(const std::vector<Deadlock::Wait>& waits) {
  std::string text;
  for (const Deadlock::Wait& wait : waits) text += (text.empty() ? "" : "; ") + text_of(wait);
  return text;
}

std::string advice(const Room& room, const std::string& owner, std::uint32_t capacity) {
  const std::string raise = "give " + in_quotes(owner) + " a queue_maxsize";
  if (room.capacity && room.keeps_pace)
    return "the smallest queue that opens it holds " + frames_text(*room.capacity) + ": " + raise + " of " +
           std::to_string(*room.capacity);
  if (room.capacity)
    return "a queue of " + frames_text(*room.capacity) +
           " opens it once, and none for good, as one branch takes more frames than it gives: join streams that keep "
           "pace";
  return raise + " above " + std::to_string(capacity) +
         (room.who.empty() ? "" : "; how much is enough, " + in_quotes(room.who) +
                                      " has not said (Element::frames_needed): more than it takes before it gives");
}

}  // namespace

std::optional<Deadlock> find_deadlock(const Plan& plan, const std::vector<bool>& in_poll,
                                      const std::vector<AwaitedLink>& awaited,
                                      const std::vector<std::optional<LinkPositions>>& positions) {
  const std::vector<std::size_t> indices = WaitGraph(plan, in_poll, awaited).shortest_circle();
  if (indices.empty()) return std::nullopt;
  std::vector<AwaitedLink> circle;
  for (std::size_t i : indices) circle.push_back(awaited[i]);
  std::vector<Deadlock::Wait> waits, others;
  for (const AwaitedLink& link : circle) waits.push_back(wait_of(plan, link));
  for (std::size_t i = 0; i < awaited.size(); ++i)
    if (std::ranges::find(indices, i) == indices.end()) others.push_back(wait_of(plan, awaited[i]));
  const std::uint32_t full = circle.front().link;
  const Room room = room_for(plan, circle, positions);
  const std::string what = "nothing can get on, as these wait for each other: " + list_of(waits) + ". " +
                           (others.empty() ? "" : "So do others wait: " + list_of(others) + ". ") + "To go on, " +
                           advice(room, owner_of(plan, full), plan.links[full].capacity);
  return Deadlock(what, std::move(waits), std::move(others), plan.links[full].sink,
                  room.keeps_pace ? room.capacity : std::nullopt);
}

namespace {

/// How many frames a pad has to give until the first has come through `sink`; nothing where somebody has not said it, or
/// other streams join on the way.
std::optional<std::uint64_t> needed_from(const Plan& plan, const SourcePad& from, const SinkPad& sink) {
  std::uint64_t need = 1;
  for (const SourcePad* pad = sink.source(); pad != &from; pad = pad->element().sink_pads().front().source()) {
    if (!pad || pad->element().sink_pads().size() != 1) return std::nullopt;
    const auto frames = need_of(plan, pad->name());
    if (!frames) return std::nullopt;
    need = frames->first + (need - 1) * frames->each;
  }
  return need;
}

}  // namespace

std::vector<std::string> find_narrow_queues(const Plan& plan, const Pipeline& pipeline) {
  std::vector<std::string> found;
  for (const auto& element : pipeline.elements()) {
    // Only what takes its frames on the main lane is known to take one of each at a time.
    const bool turns = std::ranges::any_of(plan.islands, [&](const IslandPlan& island) {
      return std::ranges::any_of(island.steps, [&](const Step& step) {
        return step.element == element.get() && step.op == Step::Op::pull;
      });
    });
    if (!turns || element->sink_pads().size() < 2) continue;
    for (std::uint32_t i = 0; i < plan.links.size(); ++i) {
      const PlannedLink& link = plan.links[i];
      const auto pad = std::ranges::find(element->sink_pads(), link.sink, [](const SinkPad& p) { return p.name(); });
      if (pad == element->sink_pads().end()) continue;
      for (const SinkPad& other : element->sink_pads()) {
        if (&other == &*pad) continue;
        const auto need = needed_from(plan, *pad->source(), other);
        if (!need || *need <= link.capacity) continue;
        found.push_back("the queue " + in_quotes(link.source) + " > " + in_quotes(link.sink) + " holds " +
                        frames_text(link.capacity) + ", but " + in_quotes(other.name()) + " has its first frame only after " +
                        std::to_string(*need) + ": a longer stream stops there; give " + in_quotes(owner_of(plan, i)) +
                        " a queue_maxsize of " + std::to_string(*need));
      }
    }
  }
  return found;
}

}  // namespace weir::engine
