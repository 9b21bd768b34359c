#include "engine/plan.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "engine/placement.hpp"
#include "shm/segment.hpp"

namespace weir::engine {

namespace {

/// What the planner knows of one element.
struct Node {
  Element* element = nullptr;
  Parallelized* worker = nullptr;  // null: all of it is on the main lane
  bool main_sinks = true;          // its sink pads are the main lane's business
  bool main_sources = true;
  std::uint32_t lane = kMainLane;  // of its worker
  std::size_t worker_index = 0;    // in Plan::workers
  std::uint32_t depth = 0;         // workers that frames have passed on the way to its main part, at most
  std::uint32_t worker_depth = 0;
  [[nodiscard]] bool on_main() const noexcept { return (main_sinks && !element->sink_pads().empty()) || (main_sources && !element->source_pads().empty()); }
};

constexpr std::uint32_t kMostFrames = 1 << 24;  // of a queue

class Planner {
 public:
  Planner(const Pipeline& pipeline, const Options& options, Mode default_mode,
          const std::vector<SharedBlockSpec>& shared_blocks)
      : pipeline_(pipeline), options_(options), default_mode_(default_mode), shared_blocks_(shared_blocks) {}

  Plan make() {
    pipeline_.check();
    order_elements();
    place_workers();
    find_depths();
    link_pads();
    link_element_queues();
    plan_islands();
    finish_lanes();
    place_lanes(plan_, pipeline_, options_);
    plan_restarts(plan_, options_);
    plan_sandboxes(plan_, pipeline_);
    plan_bells(plan_);
    plan_crews(plan_, options_, cores_);
    return std::move(plan_);
  }

 private:
  // --- elements in topological order (the graph has no cycles: Pipeline::link refuses them)

  void order_elements() {
    std::map<const Element*, std::size_t> waiting;
    std::vector<Element*> free;
    for (const auto& e : pipeline_.elements()) {
      waiting[e.get()] = e->sink_pads().size();
      if (e->sink_pads().empty()) free.push_back(e.get());
    }
    for (std::size_t i = 0; i < free.size(); ++i) {
      add_node(*free[i]);
      for (SourcePad& pad : free[i]->source_pads())
        for (SinkPad* sink : pad.sinks())
          if (--waiting[&sink->element()] == 0) free.push_back(&sink->element());
    }
  }

  void add_node(Element& element) {
    Node node{.element = &element, .worker = Wiring::parallelized(element)};
    if (node.worker) {
      node.main_sinks = Wiring::overrides_pull(*node.worker);
      node.main_sources = Wiring::overrides_new_frame(*node.worker);
    }
    node_of_[&element] = nodes_.size();
    nodes_.push_back(node);
  }
  Node& node(const Element& element) { return nodes_[node_of_.at(&element)]; }

  // --- lanes

  [[nodiscard]] Mode mode_of(const Node& n) const {
    if (n.element->options().mode) return *n.element->options().mode;
    if (const auto mode = Wiring::class_mode(*n.worker)) return *mode;
    return options_.mode.value_or(default_mode_);
  }

  void place_workers() {
    add_lane(Mode::main, "main");
    std::map<std::pair<Mode, std::size_t>, std::uint32_t> groups;
    std::map<Mode, int> numbers;
    for (Node& n : nodes_) {
      if (!n.worker) continue;
      const Mode mode = mode_of(n);
      const auto group = n.element->options().lane;
      if (mode == Mode::main) {
        n.lane = kMainLane;
      } else if (group && groups.contains({mode, *group})) {
        n.lane = groups.at({mode, *group});
      } else {
        n.lane = add_lane(mode, std::string(to_string(mode)) + " " + std::to_string(++numbers[mode]));
        if (group) groups[{mode, *group}] = n.lane;
      }
      add_worker(n);
    }
    plan_.several_processes = std::ranges::any_of(plan_.lanes, [](auto& l) { return l.mode == Mode::process; });
  }

  std::uint32_t add_lane(Mode mode, std::string name) {
    LaneSpec lane;
    lane.lane = static_cast<std::uint32_t>(plan_.lanes.size());
    lane.mode = mode;
    lane.name = std::move(name);
    plan_.lanes.push_back(std::move(lane));
    return plan_.lanes.back().lane;
  }

  void add_worker(Node& n) {
    Element& e = *n.element;
    WorkerSpec spec;
    spec.element = e.name();
    spec.function = Wiring::function(*n.worker);
    spec.worker_name = registered_name(spec.function);
    spec.is_source = e.sink_pads().empty();
    spec.argdict = n.worker->worker_argdict;
    for (const auto& pad : e.sink_pads()) spec.sink_pads.push_back(pad.pad_name());
    for (const auto& pad : e.source_pads()) spec.source_pads.push_back(pad.pad_name());
    spec.inlets.resize(e.sink_pads().size());
    spec.outlets.resize(e.source_pads().size());
    LaneSpec& lane = plan_.lanes[n.lane];
    if (lane.mode == Mode::process && spec.worker_name.empty())
      throw StartError("element '" + e.name() + "' can't run in a process: its class is not registered; add WEIR_WORKER(" +
                       e.type_name() + ") after the class, or set its mode to thread");
    n.worker_index = plan_.workers.size();
    plan_.workers.push_back({&e, n.worker, n.lane, lane.workers.size(), {}, {}});
    lane.workers.push_back(std::move(spec));
  }
  WorkerSpec& worker_spec(const Node& n) {
    return plan_.lanes[n.lane].workers[plan_.workers[n.worker_index].index];
  }

  // --- how many workers a frame has passed: elements of different depth never turn as one

  void find_depths() {
    for (Node& n : nodes_) {
      for (SinkPad& pad : n.element->sink_pads()) {
        const Node& from = node(pad.source()->element());
        const bool from_main = from.main_sources;
        if (n.main_sinks) n.depth = std::max(n.depth, from_main ? from.depth : from.worker_depth + 1);
        else n.worker_depth = std::max(n.worker_depth, from_main ? from.depth : from.worker_depth);
      }
      if (!n.worker) continue;
      if (n.main_sinks) n.worker_depth = std::max(n.worker_depth, n.depth);
      else if (n.main_sources && !n.element->sink_pads().empty()) n.depth = std::max(n.depth, n.worker_depth + 1);
    }
  }

  // --- links

  std::uint32_t add_link(PlannedLink link) {
    const auto number = static_cast<std::uint32_t>(plan_.links.size());
    const auto end_at = [&](std::uint32_t lane, bool produces, bool consumes) {
      LinkEnd end;
      end.link = number;
      end.produces = produces;
      end.consumes = consumes;
      end.capacity = link.capacity;
      end.peer_lane = produces ? link.consumer_lane : link.producer_lane;
      end.source = link.source;
      end.sink = link.sink;
      end.by_hand = link.by_hand;
      end.overflow = link.overflow;
      end.from_source = link.from_source;
      end.to_sink = link.to_sink;
      end.crosses_process = !link.inside_lane() && (plan_.lanes[link.producer_lane].mode == Mode::process ||
                                                    plan_.lanes[link.consumer_lane].mode == Mode::process);
      plan_.lanes[lane].ends.push_back(std::move(end));
    };
    if (link.inside_lane()) {
      end_at(link.producer_lane, true, true);
    } else {
      end_at(link.producer_lane, true, false);
      end_at(link.consumer_lane, false, true);
    }
    plan_.links.push_back(std::move(link));
    return number;
  }

  /// Both ends of the link are main-lane pads that turn together.
  bool same_turn(const Node& from, const Node& to) const {
    return from.main_sources && to.main_sinks && from.depth == to.depth;
  }

  /// Of a queue of this element that takes what the pad gives.
  static std::uint32_t capacity_of(const Element& element, const SourcePad& source) {
    if (!element.options().queue_time) return static_cast<std::uint32_t>(element.options().queue_maxsize);
    const auto rate = rate_of(source);
    if (!rate)
      throw GraphError("element '" + element.name() + "': queue_time= can't be kept, as '" + source.element().name() +
                       "' does not know before the run how many frames a second '" + source.name() +
                       "' gives; say how many frames a queue holds (queue_maxsize, queue=) instead");
    const double frames = std::ceil(*rate * std::chrono::duration<double>(*element.options().queue_time).count());
    if (!(frames <= kMostFrames))
      throw GraphError("element '" + element.name() + "': queue_time= is longer than the " +
                       std::to_string(kMostFrames) + " frames that a queue can hold; take less");
    return std::max(static_cast<std::uint32_t>(frames), 1u);
  }

  void link_pads() {
    for (Node& to : nodes_) {
      for (SinkPad& pad : to.element->sink_pads()) {
        SourcePad& source = *pad.source();
        const Node& from = node(source.element());
        if (same_turn(from, to)) continue;
        PlannedLink link{source.name(), pad.name(),
                         capacity_of(to.worker && !to.main_sinks ? *to.element : *from.element, source)};
        link.producer_lane = from.main_sources ? kMainLane : from.lane;
        link.consumer_lane = to.main_sinks ? kMainLane : to.lane;
        link.from_source = from.element->sink_pads().empty();
        link.to_sink = to.element->source_pads().empty();
        link.overflow = pad.overflow();
        link.frame_rate = rate_of(source);
        const std::uint32_t number = add_link(std::move(link));
        if (!from.main_sources) worker_spec(from).outlets[source.index()].push_back(number);
        else links_from_[&source].push_back(number);
        if (!to.main_sinks) worker_spec(to).inlets[pad.index()] = number;
        else link_to_[&pad] = number;
      }
    }
  }

  // The queues between an element's part on the main lane and its worker.
  void link_element_queues() {
    for (Node& n : nodes_) {
      if (!n.worker) continue;
      Element& e = *n.element;
      PlannedWorker& worker = plan_.workers[n.worker_index];
      if (n.on_main() && e.options().queue_time)
        throw GraphError("element '" + e.name() + "': queue_time= can't be kept, as it puts frames into its worker's " +
                         "queues by hand; say how many frames they hold (queue_maxsize, queue=) instead");
      const auto capacity = static_cast<std::uint32_t>(e.options().queue_maxsize);
      const auto to_worker = [&](const std::string& pad, Overflow overflow = Overflow::block) {
        return add_link({e.name() + ":in_queue:" + pad, e.name() + ":worker:" + pad, capacity, kMainLane, n.lane, false, false, true, overflow});
      };
      const auto from_worker = [&](const std::string& pad) {
        return add_link({e.name() + ":worker:" + pad, e.name() + ":out_queue:" + pad, capacity, n.lane, kMainLane, false, false, true});
      };
      const bool takes_part = n.on_main();
      if (n.main_sinks)
        for (SinkPad& pad : e.sink_pads())
          worker.element_outlets.push_back(worker_spec(n).inlets[pad.index()] = to_worker(pad.pad_name(), pad.overflow()));
      if (n.main_sources)
        for (SourcePad& pad : e.source_pads()) {
          worker.element_inlets.push_back(from_worker(pad.pad_name()));
          worker_spec(n).outlets[pad.index()] = {worker.element_inlets.back()};
        }
      if (takes_part && e.sink_pads().empty()) {  // a source's commands
        worker.element_outlets.push_back(to_worker("in"));
        worker_spec(n).inlets.push_back(worker.element_outlets.back());
        worker_spec(n).sink_pads.push_back("in");
      }
      if (takes_part && e.source_pads().empty()) {  // a sink's results
        worker.element_inlets.push_back(from_worker("out"));
        worker_spec(n).outlets.push_back({worker.element_inlets.back()});
      }
    }
  }

  // --- what the main lane does

  void plan_islands() {
    std::vector<std::size_t> parent(nodes_.size());
    std::iota(parent.begin(), parent.end(), 0u);
    const auto root = [&](std::size_t i) {
      while (parent[i] != i) i = parent[i] = parent[parent[i]];
      return i;
    };
    for (Node& to : nodes_)
      for (SinkPad& pad : to.element->sink_pads()) {
        const std::size_t from = node_of_.at(&pad.source()->element());
        if (same_turn(nodes_[from], to)) parent[root(from)] = root(node_of_.at(to.element));
      }
    std::map<std::size_t, std::size_t> island_of_root;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!nodes_[i].on_main()) continue;
      const auto [it, fresh] = island_of_root.try_emplace(root(i), plan_.islands.size());
      if (fresh) plan_.islands.emplace_back();
      add_steps(plan_.islands[it->second], nodes_[i]);
    }
    for (IslandPlan& island : plan_.islands) mark_last_uses(island);
  }

  void add_steps(IslandPlan& island, Node& n) {
    Element& e = *n.element;
    if (n.main_sinks)
      for (SinkPad& pad : e.sink_pads()) {
        std::uint32_t place;
        if (const auto link = link_to_.find(&pad); link != link_to_.end()) {
          place = island.places++;
          island.steps.push_back({.op = Step::Op::take, .element = &e, .sink = &pad, .place = place, .link = link->second});
        } else {
          place = place_of_.at(pad.source());
        }
        island.steps.push_back({.op = Step::Op::pull, .element = &e, .source = pad.source(), .sink = &pad, .place = place});
      }
    island.steps.push_back({.op = Step::Op::internal, .element = &e});
    if (n.main_sources)
      for (SourcePad& pad : e.source_pads()) {
        const std::uint32_t place = place_of_[&pad] = island.places++;
        island.steps.push_back({.op = Step::Op::new_frame,
                                .element = &e,
                                .source = &pad,
                                .place = place,
                                .from_source = e.sink_pads().empty()});
        if (const auto links = links_from_.find(&pad); links != links_from_.end())
          island.steps.push_back(
              {.op = Step::Op::put, .element = &e, .source = &pad, .place = place, .links = links->second});
      }
  }

  // The last reader of a place gets the frame itself. A put shares it where pulls follow: it comes first.
  static void mark_last_uses(IslandPlan& island) {
    std::set<std::uint32_t> used;
    for (auto step = island.steps.rbegin(); step != island.steps.rend(); ++step)
      if (step->op == Step::Op::pull || step->op == Step::Op::put) step->last_use = used.insert(step->place).second;
  }

  // --- what lanes need besides

  void finish_lanes() {
    if (options_.prefault == kPrefaultAll && options_.arena_bytes == 0)
      throw StartError("prefault: all of a quarter of the memory for each lane is too much; say how much a lane may "
                       "lend (Options::arena_bytes, --memory), or give prefault in bytes");
    const std::size_t limit = options_.arena_bytes != 0 ? options_.arena_bytes : shm::available_memory() / 4;
    for (LaneSpec& lane : plan_.lanes) {
      std::set<std::uint32_t> neighbours;
      if (lane.lane != kMainLane) neighbours.insert(kMainLane);
      for (const LinkEnd& end : lane.ends)
        if (end.peer_lane != lane.lane) neighbours.insert(end.peer_lane);
      for (const std::uint32_t neighbour : neighbours) lane.neighbours.push_back({neighbour});
      lane.arenas = upstream_of(lane.lane);
      lane.arena_limit = limit;
      lane.prefault = std::min(options_.prefault, limit);
      lane.lock_memory = options_.mlock;
      lane.measure_latency = options_.measure_latency;
      lane.several_processes = plan_.several_processes;
      lane.crowded = plan_.lanes.size() > cores_.at_once();
      lane.modules = options_.worker_modules;
      lane.shared_blocks = shared_blocks_;
    }
  }

  /// The lane itself first, then all whose blocks may reach it.
  std::vector<std::uint32_t> upstream_of(std::uint32_t lane) const {
    std::vector<std::uint32_t> found{lane};
    for (std::size_t i = 0; i < found.size(); ++i)
      for (const PlannedLink& link : plan_.links)
        if (link.consumer_lane == found[i] && std::ranges::find(found, link.producer_lane) == found.end())
          found.push_back(link.producer_lane);
    return found;
  }

  const Pipeline& pipeline_;
  const Options& options_;
  Mode default_mode_;
  const std::vector<SharedBlockSpec>& shared_blocks_;
  const machine::Cores cores_ = machine::cores_of(machine::allowed_cpus());
  Plan plan_;
  std::vector<Node> nodes_;  // in topological order
  std::map<const Element*, std::size_t> node_of_;
  std::map<const SourcePad*, std::vector<std::uint32_t>> links_from_;  // main-lane pads' links to elsewhere
  std::map<const SinkPad*, std::uint32_t> link_to_;
  std::map<const SourcePad*, std::uint32_t> place_of_;
};

}  // namespace

std::string_view kind_of(const Plan& plan, const PlannedLink& link) noexcept {
  if (link.inside_lane()) return "same lane";
  const auto in_process = [&](std::uint32_t lane) { return plan.lanes[lane].mode == Mode::process; };
  return in_process(link.producer_lane) || in_process(link.consumer_lane) ? "process ring" : "thread ring";
}

std::optional<double> rate_of(const SourcePad& pad) {
  const auto rate = pad.element().frame_rate(pad);
  return rate && *rate > 0 && std::isfinite(*rate) ? rate : std::nullopt;
}

Plan make_plan(const Pipeline& pipeline, const Options& options, Mode default_mode,
               const std::vector<SharedBlockSpec>& shared_blocks) {
  return Planner(pipeline, options, default_mode, shared_blocks).make();
}

void Wiring::connect(Parallelized& p, Connection connection) {
  p.run_ = connection.run;
  p.in_queues_ = std::move(connection.in_queues);
  p.out_queues_ = std::move(connection.out_queues);
  p.stop_ = connection.stop;
  p.shutdown_ = connection.shutdown;
  p.terminated_ = connection.terminated;
}

}  // namespace weir::engine
