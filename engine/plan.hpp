// Plan: where everything of a run lies, computed once from the graph and the options before anything starts: the
// lanes and what is on them, the links and which lanes they join, and what the main lane does in each turn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lane_spec.hpp"
#include "weir/pipeline.hpp"
#include "weir/report.hpp"

namespace weir::engine {

enum class LinkKind : std::uint8_t { pads, to_worker, from_worker };

/// One way of frames from a producer to a consumer.
struct PlannedLink {
  std::string source, sink;  ///< full pad names
  std::uint32_t capacity = 0;
  std::uint32_t producer_lane = kNone, consumer_lane = kNone;
  bool from_source = false, to_sink = false;
  bool by_hand = false;  ///< between an element and its worker
  Overflow overflow = Overflow::block;
  std::optional<double> frame_rate = {};  ///< frames a second, where that is known
  [[nodiscard]] bool inside_lane() const noexcept { return producer_lane == consumer_lane; }
  /// As LinkEnd::has_ring.
  [[nodiscard]] bool has_ring() const noexcept { return !inside_lane() || overflow != Overflow::block; }
};

/// What the main lane does with a pad in a turn. Frames are handed on through numbered places.
struct Step {
  enum class Op : std::uint8_t {
    new_frame,  ///< place ← element.new_frame(source pad)
    take,       ///< place ← a frame of link
    pull,       ///< element.pull(sink pad, place)
    internal,   ///< element.internal()
    put,        ///< links ← place
  };
  Op op = Op::internal;
  Element* element = nullptr;
  SourcePad* source = nullptr;
  SinkPad* sink = nullptr;
  std::uint32_t place = 0;
  std::uint32_t link = kNone;         ///< take
  std::vector<std::uint32_t> links = {};  ///< put
  bool last_use = false;              ///< pull: nobody needs the place afterwards
  bool from_source = false;
};

/// A part of the main lane's graph that turns as one: elements that are joined by links inside the main lane and
/// of which none waits for a worker that another one feeds.
struct IslandPlan {
  std::vector<Step> steps;
  std::uint32_t places = 0;
};

/// A worker's element and where its worker is.
struct PlannedWorker {
  Element* element = nullptr;
  Parallelized* parallelized = nullptr;
  std::uint32_t lane = kNone;
  std::size_t index = 0;  ///< among its lane's workers
  std::string dead_letters = {};  ///< file for the frames that kill it; empty: none
  std::vector<std::uint32_t> element_outlets;  ///< links element → worker, per sink pad (source: commands)
  std::vector<std::uint32_t> element_inlets;   ///< links worker → element, per source pad (sink: results)
};

struct Plan {
  std::vector<LaneSpec> lanes;  ///< [0] is the main lane
  std::vector<PlannedLink> links;
  std::vector<PlannedWorker> workers;
  std::vector<IslandPlan> islands;
  std::vector<std::vector<std::uint32_t>> crews;  ///< thread lanes, by the thread that they begin on
  std::string threads_why;  ///< why there are as many crews: "2 cores, 1 for the main lane"
  bool several_processes = false;
};

/// Throws StartError unless the worker has a process that it shares with no other, which its element's `setting`, such as
/// "restart=always", needs because of `why`.
void require_own_process(const Plan& plan, const PlannedWorker& worker, const std::string& setting,
                         const std::string& why);

/// Which lanes keep a journal, as their elements ask for restarts, and where their dead letters go. Throws StartError
/// where those can't be had.
void plan_restarts(Plan& plan, const Options& options);
/// Gives lanes in processes bells of their own to ring (LaneSpec::ringers).
void plan_bells(Plan& plan);
/// Which lanes run in a sandbox. Throws StartError where that can't be had.
void plan_sandboxes(Plan& plan, const Pipeline& pipeline);

/// "same lane", "thread ring" or "process ring", as reports say it.
[[nodiscard]] std::string_view kind_of(const Plan& plan, const PlannedLink& link) noexcept;

/// How many frames a second the pad gives, if its element knows; nothing for a number that is no rate.
[[nodiscard]] std::optional<double> rate_of(const SourcePad& pad);

/// Throws GraphError (from Pipeline::check), StartError.
[[nodiscard]] Plan make_plan(const Pipeline& pipeline, const Options& options, Mode default_mode,
                             const std::vector<SharedBlockSpec>& shared_blocks);

/// The engine's key to the inside of elements.
class Wiring {
 public:
  static Parallelized* parallelized(Element& element) noexcept { return dynamic_cast<Parallelized*>(&element); }
  static WorkerFunction function(const Parallelized& p) noexcept { return p.function_; }
  static bool overrides_pull(const Parallelized& p) noexcept { return p.overrides_pull_; }
  static bool overrides_new_frame(const Parallelized& p) noexcept { return p.overrides_new_frame_; }
  static std::optional<Mode> class_mode(const Parallelized& p) noexcept { return p.class_mode_; }
  static bool has_internal(const Element& element) noexcept { return element.has_internal_; }
  static bool has_ready(const Element& element) noexcept { return element.has_ready_; }
  static void run_started(Element& element) { element.run_started(); }
  static void run_ended(Element& element) { element.run_ended(); }
  static void reopen(SinkElement& sink) { sink.reopen(); }
  static void set_main_bell(Element& element, const shm::Doorbell* bell) noexcept {
    element.main_bell_.store(bell, std::memory_order_release);  // SYNC element.bell (release): pairs with wake()
  }
  struct Connection {
    Run* run = nullptr;
    std::vector<QueueWriter> in_queues;
    std::vector<QueueReader> out_queues;
    Event stop, shutdown, terminated;
  };
  static void connect(Parallelized& p, Connection connection);
};

/// The name a worker function was registered under; empty if it was not.
[[nodiscard]] std::string registered_name(WorkerFunction function);
[[nodiscard]] WorkerFunction registered_function(const std::string& name);

}  // namespace weir::engine
