// spectrogram: draws the columns that stft gives as a picture, written as PNG at the end of the stream.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "elements/dsp/level.hpp"
#include "elements/dsp/spectrogram_picture.hpp"
#include "elements/files.hpp"
#include "elements/parameters.hpp"
#include "elements/samples.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

class Drawing {
 public:
  explicit Drawing(const WorkerContext& ctx) : path_(ctx.arg<std::string>("path")) {
    check_output(path_);  // now, not after hours of samples
    spec_.title = ctx.arg<std::string>("title");
    spec_.max_hz = ctx.arg<double>("max_hz");
    spec_.scale =
        ctx.arg<std::string>("scale") == "mel" ? dsp::FrequencyScale::mel : dsp::FrequencyScale::linear;
    spec_.range_db = ctx.arg<double>("range");
    spec_.width = ctx.arg<int>("width");
    spec_.height = ctx.arg<int>("height");
  }

  void take(const Frame& frame) {
    if (!frame.is_gap() && frame.has_data()) add(frame);
    if (!frame.eos()) return;
    if (!picture_) picture_.emplace(spec_);  // it says that there was nothing
    dsp::write_png(picture_->render(), through_links(path_));
  }

 private:
  // Columns are whole hops from the first one on, so what comes after a gap is drawn at the nearest of them: after silence,
  // or without the column that stands there already, as the last one before a gap goes on past its samples.
  void add(const Frame& frame) {
    auto levels = samples_of(frame);
    const std::size_t bins = channels_of(frame);
    if (!picture_) begin(frame);
    const auto drawn = static_cast<std::int64_t>(picture_->columns());
    const std::int64_t place = (frame.time() - first_time_ + hop_ / 2) / hop_;
    if (place + 1 < drawn) {
      first_time_ = frame.time() - drawn * hop_;  // its clock began anew
    } else if (place < drawn) {
      levels = levels.subspan(std::min(bins, levels.size()));
    } else {
      const std::vector<float> silence(bins, dsp::kSilenceDb);
      for (std::int64_t i = drawn; i < place; ++i) picture_->add_column(silence);
    }
    for (; !levels.empty(); levels = levels.subspan(bins)) picture_->add_column(levels.first(bins));
  }

  void begin(const Frame& first) {
    if (!first.metadata().contains("hop") || first.channels() < 2)
      throw Error("it takes the columns that stft gives; link an stft before it");
    hop_ = first.metadata().get<std::int64_t>("hop");
    spec_.rate_hz = rate_of(first);
    spec_.size = (channels_of(first) - 1) * 2;
    spec_.hop = static_cast<std::size_t>(hop_);
    first_time_ = first.time();
    picture_.emplace(spec_);
  }

  std::string path_;
  dsp::SpectrogramSpec spec_;
  std::optional<dsp::SpectrogramPicture> picture_;
  std::int64_t hop_ = 0;
  std::int64_t first_time_ = 0;  // of the first column
};

}  // namespace

class Spectrogram : public ParallelizeSinkElement {
 public:
  using ParallelizeSinkElement::ParallelizeSinkElement;
  static void sub_process_internal(WorkerContext& ctx) {
    auto& drawing = ctx.state<Drawing>(ctx);  // first of all: a path that can't be written shows at once
    if (const auto frame = ctx.inq().get()) drawing.take(*frame);
  }
};

WEIR_WORKER(weir::elements::Spectrogram);
WEIR_ELEMENT(Spectrogram,
             {.name = "spectrogram",
              .summary = "draws what stft gives: time, frequency and level, in a PNG file",
              .sink_pads = {"in"},
              .parameters = {
                  output_file("path", "the PNG file"), text("title", "a line above the picture", ""),
                  text("scale", "frequency axis; mel: as the ear spaces pitch", "mel", {"mel", "linear"}),
                  real("max_hz", "top of the frequency axis; 0: half the rate",
                       {.fallback = 0, .min = 0, .unit = "Hz"}),
                  real("range", "from the loudest level down to the darkest colour",
                       {.fallback = 80, .min = 1, .max = 400, .unit = "dB"}),
                  integer("width", "of the plot without its axes",
                          {.fallback = 1200, .min = 300, .max = 8000, .unit = "pixels"}),
                  integer("height", "of the plot without its axes",
                          {.fallback = 600, .min = 300, .max = 8000, .unit = "pixels"})},
              .check_restart = refuse_exactly_once});

}  // namespace weir::elements
