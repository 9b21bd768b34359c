// gain: multiplies samples, in place.
#include <cmath>

#include "elements/parameters.hpp"
#include "elements/samples.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

struct Factor {
  explicit Factor(const WorkerContext& ctx)
      : value(static_cast<float>(ctx.arg<double>("factor") * std::pow(10, ctx.arg<double>("db") / 20))) {}
  float value;
};

}  // namespace

class Gain : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  [[nodiscard]] std::optional<double> frame_rate(const SourcePad&) const override { return frame_rate_of_input(); }
  [[nodiscard]] std::optional<FrameNeed> frames_needed(const SourcePad&) const override { return FrameNeed{}; }
  static void sub_process_internal(WorkerContext& ctx) {
    auto frame = ctx.inq().get();
    if (!frame) return;
    const float factor = ctx.state<Factor>(ctx).value;
    if (!frame->is_gap())
      for (float& sample : samples_of(*frame)) sample *= factor;
    ctx.outq().put(std::move(*frame));
  }
};

WEIR_WORKER(weir::elements::Gain);
WEIR_ELEMENT(Gain, {.name = "gain",
                    .summary = "multiplies samples by a number, given in dB, as a factor, or both",
                    .sink_pads = {"in"},
                    .source_pads = {"out"},
                    .parameters = {real("db", "gain", {.fallback = 0, .min = -400, .max = 400, .unit = "dB"}),
                                   real("factor", "gain as a factor; a negative one inverts",
                                        {.fallback = 1, .min = -1e9, .max = 1e9})}});

}  // namespace weir::elements
