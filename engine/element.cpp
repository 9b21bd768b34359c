#include "weir/element.hpp"

#include <algorithm>

#include "engine/run.hpp"
#include "weir/worker.hpp"

namespace weir {

std::string_view to_string(Mode mode) noexcept {
  switch (mode) {
    case Mode::main: return "main";
    case Mode::thread: return "thread";
    case Mode::process: return "process";
  }
  return "?";
}

std::optional<Mode> mode_from(std::string_view text) noexcept {
  for (Mode mode : {Mode::main, Mode::thread, Mode::process})
    if (to_string(mode) == text) return mode;
  return std::nullopt;
}

Pad::Pad(Element& element, std::string_view kind, std::string pad_name, std::size_t index)
    : element_(&element),
      pad_name_(std::move(pad_name)),
      name_(element.name() + ":" + std::string(kind) + ":" + pad_name_),
      index_(index) {}

Overflow SinkPad::overflow() const noexcept { return overflow_.value_or(element().options().overflow); }

namespace {

void check_pad_names(const ElementOptions& options, const std::vector<std::string>& pads, const char* kind) {
  for (std::size_t i = 0; i < pads.size(); ++i) {
    if (pads[i].empty() || pads[i].find(':') != std::string::npos)
      throw GraphError("element '" + options.name + "': '" + pads[i] + "' can't be a pad's name; it must not be empty "
                       "or contain ':'");
    if (std::find(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(i), pads[i]) !=
        pads.begin() + static_cast<std::ptrdiff_t>(i))
      throw GraphError("element '" + options.name + "' has two " + kind + " pads named '" + pads[i] + "'");
  }
}

template <class Pads>
auto& find_pad(Pads& pads, const Element& element, std::string_view name, const char* kind) {
  std::string names;
  for (auto& pad : pads) {
    if (pad.pad_name() == name) return pad;
    names += (names.empty() ? "" : ", ") + pad.pad_name();
  }
  throw GraphError("element '" + element.name() + "' has no " + kind + " pad '" + std::string(name) + "'; it has: " +
                   (names.empty() ? "none" : names));
}

}  // namespace

std::optional<double> Element::frame_rate(const SourcePad&) const { return std::nullopt; }

std::optional<FrameNeed> Element::frames_needed(const SourcePad&) const { return std::nullopt; }

std::optional<double> Element::frame_rate_of_input() const {
  const SourcePad* source = sink_pads_.empty() ? nullptr : sink_pads_.front().source();
  return source ? source->element().frame_rate(*source) : std::nullopt;
}

Element::Element(ElementOptions options) : options_(std::move(options)), internal_pad_(*this) {
  if (options_.name.empty() || options_.name.find(':') != std::string::npos)
    throw GraphError("'" + options_.name + "' can't be an element's name; it must not be empty or contain ':'");
  if (options_.queue_maxsize == 0 || options_.queue_maxsize > (1u << 24))
    throw GraphError("element '" + options_.name + "': queue_maxsize is " + std::to_string(options_.queue_maxsize) +
                     "; it has to be 1 to 16777216 frames");
  check_pad_names(options_, options_.source_pads, "source");
  check_pad_names(options_, options_.sink_pads, "sink");
  for (const auto& pad : options_.source_pads) source_pads_.emplace_back(*this, pad, source_pads_.size());
  for (const auto& pad : options_.sink_pads) sink_pads_.emplace_back(*this, pad, sink_pads_.size());
}

Element::~Element() = default;

SourcePad& Element::src(std::string_view pad_name) { return find_pad(source_pads_, *this, pad_name, "source"); }
SinkPad& Element::snk(std::string_view pad_name) { return find_pad(sink_pads_, *this, pad_name, "sink"); }

std::string Element::type_name() const {
  const std::string full = demangle(typeid(*this).name());
  const auto colon = full.rfind("::");
  return colon == std::string::npos ? full : full.substr(colon + 2);
}

void Element::wake() noexcept {
  // SYNC element.bell (acquire): pairs with Wiring::set_main_bell; the doorbell is complete.
  if (const shm::Doorbell* bell = main_bell_.load(std::memory_order_acquire)) bell->ring();
}

SourceElement::SourceElement(ElementOptions options) : Element(std::move(options)) {
  if (source_pads().empty()) throw GraphError("source '" + name() + "' has no source pads; it needs at least one");
  if (!sink_pads().empty()) throw GraphError("source '" + name() + "' has sink pads; a source takes no frames");
}

TransformElement::TransformElement(ElementOptions options) : Element(std::move(options)) {
  if (source_pads().empty() || sink_pads().empty())
    throw GraphError("transform '" + name() + "' has " + std::to_string(sink_pads().size()) + " sink pads and " +
                     std::to_string(source_pads().size()) + " source pads; it needs at least one of each");
}

SinkElement::SinkElement(ElementOptions options) : Element(std::move(options)) {
  if (sink_pads().empty()) throw GraphError("sink '" + name() + "' has no sink pads; it needs at least one");
  if (!source_pads().empty()) throw GraphError("sink '" + name() + "' has source pads; a sink gives no frames");
  reopen();
}

void SinkElement::reopen() {
  pad_at_eos_.assign(sink_pads().size(), false);
  open_pads_ = sink_pads().size();
}

void SinkElement::mark_eos(SinkPad& pad) {
  if (pad_at_eos_.at(pad.index())) return;
  pad_at_eos_[pad.index()] = true;
  --open_pads_;
}

// --- elements with a worker

namespace {
template <class Ends>
auto& end_at(Ends& ends, std::size_t pad, const char* which) {
  if (pad < ends.size()) return ends[pad];
  throw Error(std::string("the element has no ") + which + " for pad " + std::to_string(pad) +
              ": queues between an element and its worker exist during a run, where the element overrides pull or "
              "new_frame");
}
}  // namespace

QueueWriter& Parallelized::in_queue(std::size_t pad) { return end_at(in_queues_, pad, "in_queue"); }
QueueReader& Parallelized::out_queue(std::size_t pad) { return end_at(out_queues_, pad, "out_queue"); }

std::vector<Frame> Parallelized::sub_process_shutdown(std::chrono::nanoseconds timeout) {
  if (!run_) throw Error("sub_process_shutdown: the worker is not running");
  return run_->shut_down(*this, timeout);
}

void Parallelized::sub_process_internal(WorkerContext& context) {
  throw Error("element '" + context.name() +
              "' has no work: define static void sub_process_internal(weir::WorkerContext&) in its class");
}

namespace {
Frame next_of(QueueReader& queue) {
  auto frame = queue.get();
  return frame ? std::move(*frame) : Frame::end_of_stream();
}
}  // namespace

ParallelizeSourceElement::ParallelizeSourceElement(ElementOptions options)
    : SourceElement(std::move(options)), Parallelized(SourceElement::options()) {}
Frame ParallelizeSourceElement::new_frame(SourcePad& pad) { return next_of(out_queue(pad.index())); }

ParallelizeTransformElement::ParallelizeTransformElement(ElementOptions options)
    : TransformElement(std::move(options)), Parallelized(TransformElement::options()) {}
void ParallelizeTransformElement::pull(SinkPad& pad, Frame frame) { in_queue(pad.index()).put(std::move(frame)); }
Frame ParallelizeTransformElement::new_frame(SourcePad& pad) { return next_of(out_queue(pad.index())); }

ParallelizeSinkElement::ParallelizeSinkElement(ElementOptions options)
    : SinkElement(std::move(options)), Parallelized(SinkElement::options()) {}
void ParallelizeSinkElement::pull(SinkPad& pad, Frame frame) { in_queue(pad.index()).put(std::move(frame)); }

}  // namespace weir
