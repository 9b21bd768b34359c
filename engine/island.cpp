#include "engine/island.hpp"

#include <algorithm>
#include <exception>
#include <ranges>
#include <typeinfo>

namespace weir::engine {

using detail::Descriptor;
using detail::FrameAccess;
using Op = Step::Op;

Island::Island(Lane& lane, const IslandPlan& plan) : lane_(lane), places_(plan.places) {
  for (const Step& step : plan.steps) {
    Stage stage{.step = &step};
    if (step.op == Op::take) inlets_.push_back(stage.inlet = &lane.add_inlet(step.link));
    if (step.op == Op::put)
      outlets_.push_back(stage.outlet = &lane.add_outlet(step.links, step.source->name(), false));
    const bool from_take = step.op == Op::pull && !stages_.empty() && stages_.back().step->op == Op::take;
    if (step.op == Op::pull && !from_take) {
      stage.counted = true;
      stage.counter = static_cast<std::uint32_t>(counters_.size());
      counters_.push_back({step.source, step.sink});
    }
    if (members_.empty() || members_.back().element != step.element)
      members_.push_back({step.element, dynamic_cast<SourceElement*>(step.element), step.element->source_pads().size()});
    stage.member = static_cast<std::uint32_t>(members_.size() - 1);  // the steps of an element follow one another
    if (step.op == Op::internal) {
      if (auto* sink = dynamic_cast<SinkElement*>(step.element)) {
        Wiring::reopen(*sink);
        sinks_.push_back(sink);
      }
    }
    if (step.op == Op::pull && !step.element->source_pads().empty())
      stage.feeds = std::ranges::none_of(plan.steps, [&](const Step& other) {
        return other.op == Op::new_frame && other.element == step.element;
      });
    stages_.push_back(stage);
  }
}

bool Island::holds(const Element& element) const noexcept {
  return std::ranges::find(members_, &element, &Member::element) != members_.end();
}

void Island::add_element_ends(const Element& element, const std::vector<Outlet*>& outlets,
                              const std::vector<Inlet*>& inlets, Event shutdown) {
  element_ends_.push_back({&element, outlets, inlets, shutdown, inlets.empty()});
  Member& member = *std::ranges::find(members_, &element, &Member::element);
  if (member.source || !lane_.spec().measure_latency) return;
  for (Outlet* outlet : outlets) outlet->origin = &member.origin;
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

bool Island::can_turn() {
  for (Inlet* inlet : inlets_)
    if ((!inlet->has_frame() && !inlet->drained()) || inlet->broken()) return false;
  for (Outlet* outlet : outlets_)
    if (!outlet->eos_put() && !outlet->has_room()) return false;
  // A pull that feeds a worker whose frames go elsewhere must not wait: this lane may be what takes them.
  if (!flush()) return false;
  for (const ElementEnds& ends : element_ends_)
    if (ends.feeds && !std::ranges::all_of(ends.outlets, [](Outlet* outlet) { return outlet->has_room(); })) return false;
  const bool ending = lane_.end_of_stream_requested();
  for (const Member& member : members_) {
    if (member.source && member.open_pads == 0) continue;  // it gives nothing any more, while others go on
    if (member.element->ready()) continue;
    if (!ending || !member.source || member.source->end_stream()) return false;
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
  burst_.begin();
  unsigned n = 0;
  try {
    do {
      turn();
      ending_ = at_end();
    } while (!ending_ && ++n < burst_.polls() && !lane_.stopping() && can_turn());
  } catch (const Interrupted&) {
    return false;
  }
  burst_.end(n == burst_.polls());
  return true;
}

void Island::turn() {
  Stage* current = nullptr;
  try {
    for (Stage& stage : stages_) {
      current = &stage;
      run_stage(stage);
    }
  } catch (const LaneFailure&) {
    throw;  // of a worker that was polled for an element
  } catch (const std::exception& error) {
    fail(*current, demangle(typeid(error).name()), error.what());
  } catch (const Interrupted&) {
    throw;
  } catch (...) {
    fail(*current, "unknown", "an exception that is not a std::exception");
  }
}

namespace {
/// The frame that `make` returns, made in its place.
template <class Make>
void refill(Frame& place, Make&& make) {
  place.~Frame();
  try {
    new (&place) Frame(make());
  } catch (...) {
    new (&place) Frame;
    throw;
  }
}
}  // namespace

void Island::run_stage(Stage& stage) {
  const Step& step = *stage.step;
  Frame& place = places_[step.place];
  switch (step.op) {
    case Op::new_frame: give(stage); break;
    case Op::pull: pull(stage); break;
    case Op::internal: step.element->internal(); break;
    case Op::take:
      place = Frame();
      if (!stage.inlet->try_take(place)) place = Frame::end_of_stream();  // ended, while others go on
      break;
    case Op::put:
      if (stage.outlet->eos_put()) break;
      if (step.last_use) stage.outlet->put(std::move(place));
      else stage.outlet->put(Frame(place));
      break;
  }
}

void Island::give(Stage& stage) {
  const Step& step = *stage.step;
  Frame& place = places_[step.place];
  if (stage.ended) {
    place = Frame::end_of_stream();
    return;
  }
  if (!step.from_source) {
    refill(place, [&] { return static_cast<TransformElement*>(step.element)->new_frame(*step.source); });
    if (place.eos()) stage.ended = true;
    if (Descriptor& d = FrameAccess::descriptor(place); d.origin == 0) d.origin = members_[stage.member].origin;
    ++stage.frames;
    return;
  }
  auto* source = static_cast<SourceElement*>(step.element);
  const bool cut = lane_.end_of_stream_requested() && !source->end_stream();
  refill(place, [&] { return cut ? Frame::end_of_stream() : source->new_frame(*step.source); });
  Descriptor& d = FrameAccess::descriptor(place);
  d.sequence = stage.frames++;
  if (lane_.spec().measure_latency) d.origin = origin_now();
  if (!place.eos()) return;
  stage.ended = true;
  --members_[stage.member].open_pads;
}

void Island::pull(Stage& stage) {
  const Step& step = *stage.step;
  Frame& place = places_[step.place];
  const Descriptor& d = FrameAccess::descriptor(place);
  const bool eos = place.eos();
  if (eos) stage.ended = true;
  ++stage.frames;
  if (d.origin != 0) members_[stage.member].origin = d.origin;
  if (stage.counted) {
    check_spec(stage, d);
    PadCounter& counter = counters_[stage.counter];
    ++counter.frames;
    const std::size_t count = place.count();
    counter.samples += d.channels > 1 ? count / d.channels : count;
  }
  if (auto* transform = step.element->source_pads().empty() ? nullptr : static_cast<TransformElement*>(step.element)) {
    transform->pull(*step.sink, step.last_use ? std::move(place) : Frame(place));
    return;
  }
  auto* sink = static_cast<SinkElement*>(step.element);
  if (stage.counted) SinkMeter{&lane_.control().header(), lane_.spec().measure_latency}.count(d);
  sink->pull(*step.sink, step.last_use ? std::move(place) : Frame(place));
  if (eos) sink->mark_eos(*step.sink);
}

void Island::check_spec(Stage& stage, const Descriptor& d) {
  if (d.type == 0) return;
  const std::uint64_t spec = static_cast<std::uint64_t>(d.type) << 32 | d.rate;
  if (spec == stage.spec && d.channels == stage.channels) [[likely]] return;
  if (stage.spec == 0 && stage.channels == 0) {
    stage.spec = spec;
    stage.channels = d.channels;
    return;
  }
  throw_spec_change(stage.step->sink->name(), stage.frames,
                    {static_cast<TypeId>(stage.spec >> 32), static_cast<std::uint32_t>(stage.spec), stage.channels},
                    {static_cast<TypeId>(d.type), d.rate, d.channels});
}

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
  throw LaneFailure{step.element->name(), pad ? pad->name() : "", stage.frames, type, text};
}

}  // namespace weir::engine
