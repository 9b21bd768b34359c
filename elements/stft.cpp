// stft: a short-time Fourier transform; columns of levels over frequency.
//
// An output frame holds the columns that an input frame completed, one after the other, each size / 2 + 1
// levels in dBFS from 0 Hz to half the rate. Its channels are the levels of a column; its rate is still that
// of the samples, and its time that of the first column's first sample: time stamps go on meaning what they
// meant, and the columns' own rate, rate / hop, need not be an integer. The hop is in every frame's metadata
// ("hop").
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "elements/dsp/stft.hpp"
#include "elements/parameters.hpp"
#include "elements/samples.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

class Transform {
 public:
  explicit Transform(const WorkerContext& ctx) {
    spec_.size = ctx.arg<std::size_t>("size");
    spec_.hop = ctx.arg<std::size_t>("hop");
    if (spec_.hop == 0) spec_.hop = std::max<std::size_t>(spec_.size / 2, 1);
    hop_.set("hop", spec_.hop);
    spec_.window = dsp::window_named(ctx.arg<std::string>("window")).value();
  }

  void take(const Frame& frame, QueueWriter& out) {
    if (!frame.is_gap()) push(frame);
    if (stft_ && (frame.is_gap() || frame.eos())) stft_->finish();
    const bool last = frame.eos() && !frame.is_gap();
    if (auto columns = completed(last))
      out.put(std::move(*columns));
    else if (last)
      out.put(Frame::end_of_stream());
    if (!frame.is_gap()) return;
    stft_.reset();
    Frame gap = Frame::gap(frame.time());  // without the payload: it would have another spec than columns
    gap.set_eos(frame.eos());
    out.put(std::move(gap));
  }

 private:
  void push(const Frame& frame) {
    const auto samples = samples_of(frame);
    if (samples.empty()) return;
    if (!stft_) {
      rate_ = static_cast<std::uint32_t>(rate_of(frame));
      time_ = frame.time();
      spec_.channels = channels_of(frame);
      stft_.emplace(spec_);
    }
    stft_->push(samples);
  }

  std::optional<Frame> completed(bool last) {
    const std::size_t count = stft_ ? stft_->available() : 0;
    if (count == 0) return {};
    const std::size_t bins = stft_->bins();
    Frame columns = Frame::loan<float>(
        count * bins,
        {.eos = last, .time = time_, .rate = rate_, .channels = static_cast<std::uint16_t>(bins)});
    columns.set_metadata(hop_);
    const auto levels = columns.data<float>();
    for (std::size_t i = 0; i < count; ++i) stft_->next(levels.subspan(i * bins, bins));
    time_ += static_cast<std::int64_t>(count * spec_.hop);
    return columns;
  }

  dsp::StftSpec spec_;
  Dict hop_;                                // the metadata of every frame
  std::optional<dsp::StreamingStft> stft_;  // of the signal up to the next gap
  std::uint32_t rate_ = 0;
  std::int64_t time_ = 0;  // of the next column
};

void check_size(const Dict& parameters) {
  const auto size = parameters.get<std::int64_t>("size");
  if (size % 2 != 0)
    throw ParameterError(fmt::format("size must be even, it is {}; take {}", size, size + 1));
}

}  // namespace

class Stft : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  static void sub_process_internal(WorkerContext& ctx) {
    if (const auto frame = ctx.inq().get()) ctx.state<Transform>(ctx).take(*frame, ctx.outq());
  }
};

WEIR_WORKER(weir::elements::Stft);
WEIR_ELEMENT(Stft,
             {.name = "stft",
              .summary = "short-time Fourier transform: columns of levels over frequency, in dBFS",
              .sink_pads = {"in"},
              .source_pads = {"out"},
              .parameters = {integer("size", "samples that a column looks at, even; powers of 2 are fastest",
                                     {.fallback = 512, .min = 2, .max = 1 << 16, .unit = "samples"}),
                             integer("hop", "samples from one column to the next; 0: half of size",
                                     {.fallback = 0, .min = 0, .max = 1 << 24, .unit = "samples"}),
                             text("window", "window that weights a column's samples", "hann",
                                  {"hann", "hamming", "blackman", "rect"})},
              .check = check_size,
              .check_restart = refuse_exactly_once});

}  // namespace weir::elements
