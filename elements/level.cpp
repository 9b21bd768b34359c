// level: measures how loud samples are, and passes them on.
//
// Every frame leaves with its levels in its metadata, in dBFS: rms_db and peak_db over all channels, and
// where there are several, rms_db.0, peak_db.0, rms_db.1, ... for each. The levels of the whole stream go to
// a file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "elements/dsp/level.hpp"
#include "elements/files.hpp"
#include "elements/parameters.hpp"
#include "elements/samples.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

struct Levels {
  float rms_db = dsp::kSilenceDb, peak_db = dsp::kSilenceDb;
};

Levels over_all_channels(const dsp::LevelMeter& meter) {
  double power = 0;
  float peak = dsp::kSilenceDb;
  for (std::size_t c = 0; c < meter.channels(); ++c) {
    power += std::pow(10, static_cast<double>(meter.rms_db(c)) / 10);
    peak = std::max(peak, meter.peak_db(c));
  }
  return {dsp::power_to_db(power / static_cast<double>(meter.channels())), peak};
}

class Meters {
 public:
  explicit Meters(const WorkerContext& ctx) {
    if (const auto path = ctx.arg<std::string>("path"); !path.empty()) file_.emplace(path);
  }

  void take(Frame& frame, WorkerContext& ctx) {
    if (frame.has_data() && !frame.is_gap()) measure(frame);
    if (!frame.eos() || !file_) return;
    const std::string text = report();
    file_->write(std::as_bytes(std::span(text)), ctx);
    file_->commit();
  }

 private:
  void measure(Frame& frame) {
    const auto samples = samples_of(std::as_const(frame));
    if (!whole_) {
      whole_.emplace(channels_of(frame));
      block_.emplace(channels_of(frame));
    }
    whole_->push(samples);
    block_->reset();
    block_->push(samples);
    Dict metadata = frame.metadata();
    const auto [rms_db, peak_db] = over_all_channels(*block_);
    metadata.set("rms_db", rms_db);
    metadata.set("peak_db", peak_db);
    for (std::size_t c = 0; c < block_->channels() && block_->channels() > 1; ++c) {
      metadata.set(fmt::format("rms_db.{}", c), block_->rms_db(c));
      metadata.set(fmt::format("peak_db.{}", c), block_->peak_db(c));
    }
    frame.set_metadata(std::move(metadata));
  }

  [[nodiscard]] std::string report() const {
    if (!whole_) return "no samples\n";
    std::string text;
    for (std::size_t c = 0; c < whole_->channels(); ++c)
      text += fmt::format("channel {}: rms {:.2f} dBFS, peak {:.2f} dBFS\n", c, whole_->rms_db(c),
                          whole_->peak_db(c));
    return text;
  }

  std::optional<OutputFile> file_;
  std::optional<dsp::LevelMeter> whole_, block_;  // made when the number of channels is known
};

}  // namespace

class Level : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  [[nodiscard]] std::optional<double> frame_rate(const SourcePad&) const override { return frame_rate_of_input(); }
  [[nodiscard]] std::optional<FrameNeed> frames_needed(const SourcePad&) const override { return FrameNeed{}; }
  static void sub_process_internal(WorkerContext& ctx) {
    auto& meters = ctx.state<Meters>(ctx);  // first of all: a path that can't be written shows at once
    auto frame = ctx.inq().get();
    if (!frame) return;
    meters.take(*frame, ctx);
    ctx.outq().put(std::move(*frame));
  }
};

WEIR_WORKER(weir::elements::Level);
WEIR_ELEMENT(
    Level, {.name = "level",
            .summary = "measures RMS and peak into each frame's metadata (rms_db, peak_db), in dBFS",
            .sink_pads = {"in"},
            .source_pads = {"out"},
            .parameters = {output_file(
                "path", "file for the levels of the whole stream, - for standard output; empty: none", "")},
            .check_restart = refuse_exactly_once});

}  // namespace weir::elements
