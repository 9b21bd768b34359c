// bandpass: lets a band of frequencies through, by a linear-phase FIR filter.
//
// Every frame comes back with its own time stamp, length, flags and metadata, and filtered samples: frames
// wait until the filter has seen what their last samples need of the future, half its length, so nothing is
// delayed against its time stamp. A gap ends one signal and begins another.
#include <deque>
#include <optional>
#include <utility>

#include "elements/dsp/fir_design.hpp"
#include "elements/dsp/fir_filter.hpp"
#include "elements/parameters.hpp"
#include "elements/samples.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

dsp::BandpassSpec spec_from(const Dict& parameters) {
  return {.low_hz = parameters.get<double>("low"),
          .high_hz = parameters.get<double>("high"),
          .transition_hz = parameters.get<double>("transition"),
          .attenuation_db = parameters.get<double>("attenuation")};
}

class Filter {
 public:
  void take(Frame frame, const WorkerContext& ctx) {
    if (!frame.is_gap()) {
      const auto samples = samples_of(std::as_const(frame));
      if (!filter_ && !samples.empty()) make_filter(frame, ctx);
      if (filter_) filter_->push(samples);
    }
    if (filter_ && (frame.is_gap() || frame.eos())) filter_->finish();
    waiting_.push_back(std::move(frame));
  }

  // The next frame whose samples the filter has ready.
  std::optional<Frame> next() {
    if (waiting_.empty()) return {};
    Frame& first = waiting_.front();
    if (first.is_gap()) {
      if (filter_) filter_->reset();  // finished, and all of it taken
    } else if (first.has_data()) {
      if (filter_->available() < first.count()) return {};
      filter_->take(samples_of(first));
    }
    std::optional<Frame> frame(std::move(first));
    waiting_.pop_front();
    return frame;
  }

 private:
  void make_filter(const Frame& first, const WorkerContext& ctx) {
    filter_.emplace(dsp::design_bandpass(spec_from(ctx.worker_argdict()), rate_of(first)),
                    channels_of(first));
  }

  std::optional<dsp::FirFilter> filter_;  // made when the rate is known
  std::deque<Frame> waiting_;
};

}  // namespace

class Bandpass : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    auto& filter = ctx.state<Filter>();
    filter.take(std::move(*frame), ctx);
    while (auto filtered = filter.next()) ctx.outq().put(std::move(*filtered));
  }
};

WEIR_WORKER(weir::elements::Bandpass);
WEIR_ELEMENT(
    Bandpass,
    {.name = "bandpass",
     .summary = "lets the frequencies from low to high through; linear phase, no delay in the time stamps",
     .sink_pads = {"in"},
     .source_pads = {"out"},
     .parameters = {real("low", "lower edge of the pass band, above 0", {.min = 0, .unit = "Hz"}),
                    real("high", "upper edge of the pass band, above low and below half the rate",
                         {.min = 0, .unit = "Hz"}),
                    real("transition",
                         "width of the transitions outside the band, up to low; 0: a quarter of the "
                         "smaller of low and high - low",
                         {.fallback = 0, .min = 0, .unit = "Hz"}),
                    real("attenuation", "of what lies beyond the transitions",
                         {.fallback = 60, .min = 20, .max = 140, .unit = "dB"})},
     .check = [](const Dict& parameters) { dsp::check_bandpass(spec_from(parameters)); },
     .check_restart = refuse_exactly_once});

}  // namespace weir::elements
