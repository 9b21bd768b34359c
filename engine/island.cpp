#include "engine/island.hpp"

#include <algorithm>
#include <exception>
#include <ranges>
#include <typeinfo>

namespace weir::engine {

using detail::Descriptor;
using detail::FrameAccess;
using Op = Step::Op;

Island::Island(Lane& lane, const IslandPlan& plan)
    : lane_(lane), places_(plan.places), measures_(lane.spec().measure_latency) {
  for (const Step& step : plan.steps) add_stage(step);
  for (Stage& stage : stages_)
    if (stage.step->op == Op::pull && !stage.step->element->source_pads().empty())
      stage.feeds = std::ranges::none_of(plan.steps, [&](const Step& other) {
        return other.op == Op::new_frame && other.element == stage.step->element;
      });
  choose_runs();
  for (const Member& member : members_)
    if (Wiring::has_ready(*member.element)) asked_.push_back(&member);
}

void Island::add_stage(const Step& step) {
  Stage stage{.step = &step, .place = &places_[step.place], .element = step.element};
  const bool is_sink = step.element->source_pads().empty();
  if (step.op == Op::pull && is_sink) stage.sink = static_cast<SinkElement*>(step.element);
  else if (step.op == Op::new_frame && step.from_source) stage.source = static_cast<SourceElement*>(step.element);
  else if (step.op == Op::pull || step.op == Op::new_frame)
    stage.transform = static_cast<TransformElement*>(step.element);
  if (step.op == Op::take) inlets_.push_back(stage.inlet = &lane_.add_inlet(step.link));
  if (step.op == Op::put) outlets_.push_back(stage.outlet = &lane_.add_outlet(step.links, step.source->name(), false));
  const bool from_take = step.op == Op::pull && !stages_.empty() && stages_.back().step->op == Op::take;
  stage.counted = step.op == Op::pull && !from_take;
  if (stage.counted && is_sink) stage.meter = {&lane_.control().header(), measures_};
  if (members_.empty() || members_.back().element != step.element)
    members_.push_back({step.element, dynamic_cast<SourceElement*>(step.element), step.element->source_pads().size()});
  stage.member = static_cast<std::uint32_t>(members_.size() - 1);  // the steps of an element follow one another
  if (auto* sink = dynamic_cast<SinkElement*>(step.element); sink && step.op == Op::internal) {
    Wiring::reopen(*sink);
    sinks_.push_back(sink);
  }
  stages_.push_back(stage);
}

// Which function a stage runs, so that a turn asks nothing that is known before it. A frame that one pad gives and
// only the next stage pulls does not lie in a place: it is made where the pull wants it.
void Island::choose_runs() {
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    Stage& stage = stages_[i];
    if (stage.step->op == Op::internal && !Wiring::has_internal(*stage.element)) continue;
    runs_.push_back(&stage);
    switch (stage.step->op) {
      case Op::internal: stage.run = [](Island&, Stage& s) { s.element->internal(); }; break;
      case Op::take: stage.run = take; break;
      case Op::put: stage.run = put; break;
      case Op::pull: stage.run = pull_from_place; break;
      case Op::new_frame: {
        const Stage* next = i + 1 < stages_.size() ? &stages_[i + 1] : nullptr;
        if (next && (next->step->op != Op::pull || next->step->place != stage.step->place || !next->step->last_use))
          next = nullptr;
        if (stage.step->from_source) choose_give<frame_of_source>(stage, next);
        else choose_give<frame_of_transform>(stage, next);
        if (next) ++i;  // it runs with this one
        break;
      }
    }
  }
}

template <Frame (*give)(Island&, Island::Stage&)>
void Island::choose_give(Stage& stage, const Stage* next) {
  if (!next) stage.run = give_to_place<give>;
  else if (next->step->element->source_pads().empty()) stage.run = give_to_sink<give>;
  else stage.run = give_to_transform<give>;
}

std::vector<PadCounter> Island::counters() const {
  std::vector<PadCounter> counters;
  for (const Stage& stage : stages_)
    if (stage.counted)
      counters.push_back({stage.step->source, stage.step->sink, stage.tally.frames(), stage.tally.samples()});
  return counters;
}

bool Island::holds(const Element& element) const noexcept {
  return std::ranges::find(members_, &element, &Member::element) != members_.end();
}

bool Island::has_ended(const Element& element) const noexcept {
  const auto is_done = [&](const SinkElement* sink) { return sink == &element && sink->at_eos(); };
  if (std::ranges::any_of(sinks_, is_done)) return true;
  return std::ranges::all_of(stages_, [&](const Stage& stage) {
    const bool flows = stage.step->op == Op::pull || stage.step->op == Op::new_frame;
    return stage.step->element != &element || !flows || stage.ended;
  });
}

void Island::add_element_ends(const Element& element, const std::vector<Outlet*>& outlets,
                              const std::vector<Inlet*>& inlets, Event shutdown) {
  element_ends_.push_back({&element, outlets, inlets, shutdown, inlets.empty()});
  Member& member = *std::ranges::find(members_, &element, &Member::element);
  if (member.source || !lane_.spec().measure_latency) return;
  for (Outlet* outlet : outlets) outlet->inherit_origin(member.origin);
  for (Inlet* inlet : inlets) inlet->origin = &member.origin;
}

bool Island::ready() {
  if (lane_.stopping()) return true;
  return ending_ ? flush() : can_turn() || abandoned();
}

/// Hands on what pulls have put beyond the room there was. True once nothing of it is left.
bool Island::flush() const {
  for (const ElementEnds& ends : element_ends_) {
    if (!ends.feeds) continue;
    for (Outlet* outlet : ends.outlets) {
      try {
        if (!outlet->flush_backlog()) return false;
      } catch (const std::exception& error) {
        throw LaneFailure{ends.element->name(), outlet->pad(), outlet->given(), demangle(typeid(error).name()),
                          error.what()};
      }
    }
  }
  return true;
}

// What can_turn() looks at before it asks the elements.
bool Island::mark_awaited() noexcept {
  bool any = false;
  const auto await = [&](auto* end) { any = end->awaited = true; };
  if (!ending_) {
    for (Inlet* inlet : inlets_)
      if (!inlet->has_frame() && !inlet->drained()) await(inlet);
    for (Outlet* outlet : outlets_)
      if (!outlet->eos_put() && !outlet->has_room()) await(outlet);
  }
  for (const ElementEnds& ends : element_ends_)
    if (ends.feeds)
      for (Outlet* outlet : ends.outlets)
        if (!outlet->has_room()) await(outlet);
  return any;
}

bool Island::can_turn() {
  for (Inlet* inlet : inlets_)
    if ((!inlet->has_frame() && !inlet->drained()) || inlet->broken()) return false;
  for (Outlet* outlet : outlets_)
    if (!outlet->eos_put() && !outlet->has_room()) return false;
  // A pull that feeds a worker whose frames go elsewhere must not wait: this lane may be what takes them.
  if (!element_ends_.empty() && !flush()) return false;
  for (const ElementEnds& ends : element_ends_)
    if (ends.feeds && !std::ranges::all_of(ends.outlets, [](Outlet* outlet) { return outlet->has_room(); })) return false;
  for (const Member* member : asked_) {
    if (member->element->ready()) continue;
    if (!member->source) return false;
    if (member->open_pads == 0) continue;  // it gives nothing any more, while others go on
    if (!lane_.end_of_stream_requested() || member->source->end_stream()) return false;
  }
  return true;
}

Poll Island::poll() {
  if (lane_.stopping()) {
    close();
    return Poll::finished;
  }
  if (!ending_ && !can_turn()) {
    if (!abandoned()) return Poll::idle;
    ending_ = true;
  }
  if (!ending_) {
    if (!turn_repeatedly()) {
      close();
      return Poll::finished;
    }
    if (!ending_) return Poll::progressed;
  }
  if (!flush()) return Poll::idle;
  close();
  return Poll::finished;
}

// False if the run was stopped meanwhile.
bool Island::turn_repeatedly() {
  burst_.begin(lane_.burst_end());
  unsigned n = 0;
  for (Outlet* outlet : outlets_) outlet->overfull = false;
  const auto overfull = [&] { return std::ranges::any_of(outlets_, [](const Outlet* outlet) { return outlet->overfull; }); };
  try {
    do {
      turn();
      ending_ = gave_all();
    } while (!ending_ && ++n < burst_.polls() && !lane_.stopping() && !overfull() && can_turn());
  } catch (const Interrupted&) {
    return false;
  }
  burst_.end(n == burst_.polls(), lane_.end_burst());
  ending_ = ending_ || at_end();
  return true;
}

void Island::turn() {
  try {
    for (Stage* stage : runs_) {
      current_ = stage;
      stage->run(*this, *stage);
    }
  } catch (const LaneFailure&) {
    throw;  // of a worker that was polled for an element
  } catch (const std::exception& error) {
    fail(*current_, demangle(typeid(error).name()), error.what());
  } catch (const Interrupted&) {
    throw;
  } catch (...) {
    fail(*current_, "unknown", "an exception that is not a std::exception");
  }
}

void Island::take(Island&, Stage& stage) {
  Frame& place = *stage.place;
  place = Frame();
  stage.inlet->take_or_end(place);
}

void Island::put(Island&, Stage& stage) {
  if (stage.outlet->eos_put()) return;
  if (stage.step->last_use) stage.outlet->put(std::move(*stage.place));
  else stage.outlet->put(Frame(*stage.place));
}

Frame Island::frame_of_source(Island& island, Stage& stage) {
  const bool cut = island.lane_.end_of_stream_requested() && !stage.source->end_stream();
  Frame frame = cut ? Frame::end_of_stream() : stage.source->new_frame(*stage.step->source);
  Descriptor& d = FrameAccess::descriptor(frame);
  d.sequence = stage.given++;
  if (island.measures_) d.origin = origin_now();
  if (frame.eos()) {
    stage.ended = true;
    --island.members_[stage.member].open_pads;
  }
  return frame;
}

Frame Island::frame_of_transform(Island& island, Stage& stage) {
  Frame frame = stage.transform->new_frame(*stage.step->source);
  if (frame.eos()) stage.ended = true;
  if (island.measures_)
    if (Descriptor& d = FrameAccess::descriptor(frame); d.origin == 0) d.origin = island.members_[stage.member].origin;
  ++stage.given;
  return frame;
}

template <Frame (*give)(Island&, Island::Stage&)>
void Island::give_to_place(Island& island, Stage& stage) {
  Frame& place = *stage.place;
  if (stage.ended) {
    place = Frame::end_of_stream();
    return;
  }
  place.~Frame();
  try {
    new (&place) Frame(give(island, stage));
  } catch (...) {
    new (&place) Frame;
    throw;
  }
}

template <Frame (*give)(Island&, Island::Stage&)>
void Island::give_to_transform(Island& island, Stage& stage) {
  Stage& next = *(&stage + 1);
  next.transform->pull(*next.step->sink, handed_on<give>(island, stage));
}

template <Frame (*give)(Island&, Island::Stage&)>
void Island::give_to_sink(Island& island, Stage& stage) {
  Stage& next = *(&stage + 1);
  next.sink->pull(*next.step->sink, handed_on<give>(island, stage));
  if (next.ended) next.sink->mark_eos(*next.step->sink);
}

// Made in the place of what it returns, and so of pull's argument: a frame that is handed on is not moved.
template <Frame (*give)(Island&, Island::Stage&)>
Frame Island::handed_on(Island& island, Stage& stage) {
  Frame frame = stage.ended ? Frame::end_of_stream() : give(island, stage);
  Stage& next = *(&stage + 1);
  island.current_ = &next;
  island.note_pulled(next, frame);
  return frame;
}

void Island::pull_from_place(Island& island, Stage& stage) {
  const Step& step = *stage.step;
  Frame& place = *stage.place;
  island.note_pulled(stage, place);
  if (!step.element->source_pads().empty()) {
    stage.transform->pull(*step.sink, step.last_use ? std::move(place) : Frame(place));
    return;
  }
  stage.sink->pull(*step.sink, step.last_use ? std::move(place) : Frame(place));
  if (stage.ended) stage.sink->mark_eos(*step.sink);
}

inline void Island::note_pulled(Stage& stage, const Frame& frame) {
  const Descriptor& d = FrameAccess::descriptor(frame);
  if (!stage.tally.is_everyday(d)) return look_at_pulled(stage, d);
  stage.tally.count_everyday();
  if (stage.meter.header) stage.meter.count_everyday();
}

void Island::look_at_pulled(Stage& stage, const Descriptor& d) {
  if (d.flags & detail::kEos) stage.ended = true;
  if (d.origin != 0) members_[stage.member].origin = d.origin;
  stage.tally.count(d, stage.step->sink->name(), !measures_);
  if (stage.meter.header) stage.meter.count(d);
}

bool Island::gave_all() const noexcept {
  for (const SinkElement* sink : sinks_)
    if (!sink->at_eos()) return false;
  for (const Outlet* outlet : outlets_)
    if (!outlet->eos_put()) return false;
  return std::ranges::all_of(stages_, [](const Stage& stage) { return !stage.feeds || stage.ended; });
}

// The same, where those who went away need nothing more. To look for them costs a line of theirs.
bool Island::at_end() const noexcept {
  return std::ranges::all_of(sinks_, [](const SinkElement* sink) { return sink->at_eos(); }) &&
         std::ranges::all_of(outlets_, [](const Outlet* outlet) { return outlet->eos_put() || outlet->abandoned(); }) &&
         std::ranges::all_of(stages_, [](const Stage& stage) { return !stage.feeds || stage.ended; });
}

void Island::close() noexcept {
  for (Outlet* outlet : outlets_) outlet->close();
  for (Inlet* inlet : inlets_) inlet->leave();
  for (ElementEnds& ends : element_ends_) {
    if (!ends.outlets.empty()) ends.shutdown.set();  // a source's commands being over does not end it: this does
    for (Outlet* outlet : ends.outlets) outlet->close();
    for (Inlet* inlet : ends.inlets)
      if (inlet->is_local()) inlet->leave();  // rings are emptied until their workers have ended: Run::drain_workers
  }
  places_.clear();
  places_.resize(places_.capacity());
}

void Island::abandon() noexcept { close(); }

bool Island::abandoned() const noexcept { return !outlets_.empty() && at_end(); }

void Island::fail(const Stage& stage, const std::string& type, const std::string& text) const {
  const Step& step = *stage.step;
  const Pad* pad = nullptr;
  if (step.op == Op::pull || step.op == Op::take) pad = step.sink;
  else if (step.op != Op::internal) pad = step.source;
  throw LaneFailure{step.element->name(), pad ? pad->name() : "", stage.given + stage.tally.frames(), type, text};
}

}  // namespace weir::engine
