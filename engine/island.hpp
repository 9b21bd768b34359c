// Island: a task of the main lane. It runs a flat schedule over elements that turn together: once every link that
// comes in has a frame and every link that goes out has room, each pad is called once, in topological order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/lane.hpp"
#include "engine/plan.hpp"
#include "weir/event.hpp"

namespace weir::engine {

/// Frames that went over a link between two pads of one island.
struct PadCounter {
  const SourcePad* source = nullptr;
  const SinkPad* sink = nullptr;
  std::uint64_t frames = 0;
  std::uint64_t samples = 0;
};

class Island final : public Task {
 public:
  Island(Lane& lane, const IslandPlan& plan);
  bool ready() override;
  Poll poll() override;
  void abandon() noexcept override;
  bool mark_awaited() noexcept override;
  [[nodiscard]] bool abandoned() const noexcept override;
  [[nodiscard]] std::vector<PadCounter> counters() const;

  [[nodiscard]] bool holds(const Element& element) const noexcept;
  /// Each of its pads here has given or taken its end of stream, or it is a sink that has said that it needs no more.
  [[nodiscard]] bool has_ended(const Element& element) const noexcept;
  /// The element's ends of its worker's queues end with this island: the worker then finishes what is queued.
  void add_element_ends(const Element& element, const std::vector<Outlet*>& outlets, const std::vector<Inlet*>& inlets,
                        Event shutdown);

 private:
  /// A step with its ends made: what it does in a turn, and all that this needs.
  struct Stage {
    void (*run)(Island&, Stage&) = nullptr;
    const Step* step;
    Frame* place;
    union {
      Element* element;
      SourceElement* source;
      TransformElement* transform;
      SinkElement* sink;
    };
    Inlet* inlet = nullptr;
    Outlet* outlet = nullptr;
    std::uint32_t member = 0;    // its element
    SinkMeter meter;             // pull of a sink from a pad of this island
    bool counted = false;        // pull: from a pad of this island
    bool ended = false;          // new_frame: has given EOS; pull: has taken it
    bool feeds = false;          // pull: into a worker whose frames go elsewhere, so it ends by itself
    std::uint64_t given = 0;     // new_frame
    PadTally tally;              // pull
  };
  void add_stage(const Step& step);
  void choose_runs();
  [[nodiscard]] bool can_turn();
  [[nodiscard]] bool flush() const;
  bool turn_repeatedly();
  void turn();
  // What stages run.
  template <Frame (*give)(Island&, Stage&)>
  static void give_to_place(Island& island, Stage& stage);
  template <Frame (*give)(Island&, Stage&)>
  static void give_to_transform(Island& island, Stage& stage);
  template <Frame (*give)(Island&, Stage&)>
  static void give_to_sink(Island& island, Stage& stage);
  static void pull_from_place(Island& island, Stage& stage);
  static void take(Island& island, Stage& stage);
  static void put(Island& island, Stage& stage);
  template <Frame (*give)(Island&, Stage&)>
  static void choose_give(Stage& stage, const Stage* next);

  static Frame frame_of_source(Island& island, Stage& stage);
  static Frame frame_of_transform(Island& island, Stage& stage);
  template <Frame (*give)(Island&, Stage&)>
  static Frame handed_on(Island& island, Stage& stage);
  void note_pulled(Stage& stage, const Frame& frame);
  void look_at_pulled(Stage& stage, const detail::Descriptor& d);
  [[nodiscard]] bool gave_all() const noexcept;
  [[nodiscard]] bool at_end() const noexcept;
  void close() noexcept;
  [[noreturn]] void fail(const Stage& stage, const std::string& type, const std::string& text) const;

  Lane& lane_;
  std::vector<Stage> stages_;
  std::vector<Stage*> runs_;  // those of a turn; what hands its frame straight on runs the next one, too
  std::vector<Frame> places_;
  std::vector<Inlet*> inlets_;
  std::vector<Outlet*> outlets_;
  struct Member {
    Element* element;
    SourceElement* source;  // null: it takes frames
    std::size_t open_pads;  // of a source: those that have not given EOS
    std::uint32_t origin = 0;  // of the last frame that it took
  };
  std::vector<Member> members_;
  std::vector<const Member*> asked_;  // those whose class says whether they are ready
  std::vector<SinkElement*> sinks_;
  struct ElementEnds {
    const Element* element;
    std::vector<Outlet*> outlets;
    std::vector<Inlet*> inlets;
    Event shutdown;
    bool feeds;  // takes nothing back: the worker's frames go elsewhere
  };
  std::vector<ElementEnds> element_ends_;
  const bool measures_;
  Stage* current_ = nullptr;  // the one that runs
  bool ending_ = false;  // but for what its elements have put and their workers have no room for yet
  Burst burst_;
};

}  // namespace weir::engine
