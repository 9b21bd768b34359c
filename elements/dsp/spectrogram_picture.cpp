#include "elements/dsp/spectrogram_picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "elements/dsp/colour_map.hpp"
#include "elements/dsp/level.hpp"
#include "elements/dsp/text.hpp"

namespace weir::dsp {
namespace {

constexpr std::size_t kMaxLevels = std::size_t{1} << 24;  // 64 MiB of floats
constexpr std::size_t kMaxColumns = 4096;
constexpr std::size_t kShades = 512;
constexpr double kTopStep = 5;  // dB that the top of the scale is a multiple of

constexpr Rgb kPaper{252, 252, 250}, kInk{40, 44, 52};
constexpr int kTextScale = 2;
constexpr int kLineHeight = kGlyphHeight * kTextScale;
constexpr int kTick = 6;                         // length of a tick mark
constexpr int kGap = 6;                          // between a tick mark and its label
constexpr int kRight = 172, kBottom = 84;        // around the plot
constexpr int kScaleGap = 32, kScaleWidth = 24;  // from the plot to the colour scale, its width

const SpectrogramSpec& checked(const SpectrogramSpec& spec) {
  const auto need = [](bool holds, std::string_view what) {
    if (!holds) throw std::invalid_argument(fmt::format("spectrogram: {}", what));
  };
  need(spec.rate_hz > 0 && std::isfinite(spec.rate_hz), "the rate must be above 0 Hz");
  need(spec.size >= 2 && spec.size % 2 == 0, "size must be even and at least 2");
  need(spec.hop >= 1, "hop must be at least 1");
  need(spec.max_hz >= 0 && spec.max_hz <= spec.rate_hz / 2, "max_hz must be from 0 to half the rate");
  need(spec.range_db > 0 && std::isfinite(spec.range_db), "the range must be above 0 dB");
  need(spec.width >= 300 && spec.width <= 8000, "the width must be 300 to 8000 pixels");
  need(spec.height >= 300 && spec.height <= 8000, "the height must be 300 to 8000 pixels");
  return spec;
}

// The smallest of 1, 2, 5, 10, ... (and its tenths) that fits into span at most count times.
double nice_step(double span, double count) {
  const double raw = span / count;
  const double decade = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * decade >= raw * (1 - 1e-9)) return factor * decade;
  }
  return 10 * decade;
}

// Where the labels of an axis go: pixels from its start, and the text there.
struct Tick {
  int place;
  std::string label;
};

std::string label_of(double value, double step) {
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  return fmt::format("{:.{}f}", value, decimals);
}

// Ticks of a straight axis at multiples of a nice step, at least apart pixels from each other.
std::vector<Tick> straight_ticks(double from, double to, int pixels, int apart) {
  const double step = nice_step(to - from, std::max(1, pixels / apart));
  std::vector<Tick> ticks;
  const auto last = static_cast<long>(std::floor(to / step + 1e-6));
  for (auto i = static_cast<long>(std::ceil(from / step - 1e-6)); i <= last; ++i) {
    const double value = static_cast<double>(i) * step;
    ticks.push_back(
        {static_cast<int>(std::lround((value - from) / (to - from) * (pixels - 1))), label_of(value, step)});
  }
  return ticks;
}

double mel(double hz) { return 2595 * std::log10(1 + hz / 700); }
double hz_of_mel(double value) { return 700 * (std::pow(10, value / 2595) - 1); }

// The frequency at a part (0 ... 1) of the axis.
double frequency_at(const SpectrogramSpec& spec, double part) {
  return spec.scale == FrequencyScale::linear ? part * spec.max_hz : hz_of_mel(part * mel(spec.max_hz));
}

// Ticks at 0 and at ... 1, 2, 5, 10, ... Hz, where they are at least apart pixels from the one before.
std::vector<Tick> mel_ticks(const SpectrogramSpec& spec, double unit_hz, int apart) {
  std::vector<Tick> ticks{{0, "0"}};
  for (double decade = std::pow(10, std::floor(std::log10(spec.max_hz)) - 3); decade <= spec.max_hz;
       decade *= 10) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double hz = factor * decade;
      const auto place = static_cast<int>(std::lround(mel(hz) / mel(spec.max_hz) * (spec.height - 1)));
      if (hz > spec.max_hz || place < ticks.back().place + apart) continue;
      ticks.push_back({place, label_of(hz / unit_hz, decade / unit_hz)});
    }
  }
  return ticks;
}

void draw_frame(RgbImage& image, int x, int y, int width, int height) {
  image.fill(x - 1, y - 1, width + 2, 1, kInk);
  image.fill(x - 1, y + height, width + 2, 1, kInk);
  image.fill(x - 1, y, 1, height, kInk);
  image.fill(x + width, y, 1, height, kInk);
}

void draw_label(RgbImage& image, int x, int y, std::string_view text,
                TextDirection direction = TextDirection::right) {
  draw_text(image, x, y, text, {.colour = kInk, .scale = kTextScale, .direction = direction});
}

void draw_time_axis(RgbImage& image, const SpectrogramSpec& spec, double duration) {
  const int foot = kPlotTop + spec.height;
  const bool milli = duration < 0.01;
  for (const auto& [x, label] : straight_ticks(0, duration * (milli ? 1000 : 1), spec.width, 100)) {
    image.fill(kPlotLeft + x, foot, 1, kTick, kInk);
    draw_label(image, kPlotLeft + x - text_length(label, kTextScale) / 2, foot + kTick + kGap, label);
  }
  const std::string_view name = milli ? "time (ms)" : "time (s)";
  draw_label(image, kPlotLeft + (spec.width - text_length(name, kTextScale)) / 2,
             foot + kTick + kGap + kLineHeight + 8, name);
}

enum class Side { left, right };

// Ticks of an axis that runs upwards along the plot, on a side of the line at x.
void draw_upward_ticks(RgbImage& image, const SpectrogramSpec& spec, const std::vector<Tick>& ticks, int x,
                       Side side) {
  for (const auto& [up, label] : ticks) {
    const int y = kPlotTop + spec.height - 1 - up;
    const int text_y = y - kCapitalHeight * kTextScale / 2;
    if (side == Side::left) {
      image.fill(x - kTick, y, kTick, 1, kInk);
      draw_label(image, x - kTick - kGap - text_length(label, kTextScale), text_y, label);
    } else {
      image.fill(x + 1, y, kTick, 1, kInk);
      draw_label(image, x + kTick + kGap, text_y, label);
    }
  }
}

void draw_frequency_axis(RgbImage& image, const SpectrogramSpec& spec) {
  const bool straight = spec.scale == FrequencyScale::linear, kilo = spec.max_hz >= 2000;
  const std::string name =
      fmt::format("frequency ({}{})", kilo ? "kHz" : "Hz", straight ? "" : ", mel scale");
  const double unit_hz = kilo ? 1000 : 1;
  draw_upward_ticks(
      image, spec,
      straight ? straight_ticks(0, spec.max_hz / unit_hz, spec.height, 50) : mel_ticks(spec, unit_hz, 40),
      kPlotLeft - 1, Side::left);
  draw_label(image, 12, kPlotTop + (spec.height - text_length(name, kTextScale)) / 2, name,
             TextDirection::up);
}

void draw_level_scale(RgbImage& image, const SpectrogramSpec& spec, double top_db) {
  const int x = kPlotLeft + spec.width + kScaleGap;
  for (int y = 0; y < spec.height; ++y) {
    image.fill(x, kPlotTop + y, kScaleWidth, 1, level_colour(1 - static_cast<double>(y) / (spec.height - 1)));
  }
  draw_frame(image, x, kPlotTop, kScaleWidth, spec.height);
  draw_upward_ticks(image, spec, straight_ticks(top_db - spec.range_db, top_db, spec.height, 50),
                    x + kScaleWidth, Side::right);
  constexpr std::string_view kName = "level (dBFS)";
  draw_label(image, image.width() - 12 - kLineHeight,
             kPlotTop + (spec.height - text_length(kName, kTextScale)) / 2, kName, TextDirection::up);
}

// What a pixel shows of a row of values: the maximum of first ... last, or a blend of these two.
struct Stretch {
  std::size_t first, last;
  float blend;  // the part of last, or below 0 for the maximum
};

// For the stretch from ... to of a row of count values, centred at 0.5, 1.5, ...
Stretch stretch_of(double from, double to, std::size_t count) {
  const auto end = static_cast<double>(count - 1);
  if (to - from >= 1) {
    const double first = std::clamp(std::ceil(from - 0.5), 0.0, end);
    return {static_cast<std::size_t>(first),
            static_cast<std::size_t>(std::clamp(std::ceil(to - 0.5) - 1, first, end)), -1};
  }
  const double middle = std::clamp((from + to) / 2 - 0.5, 0.0, end);
  const auto first = static_cast<std::size_t>(middle);
  return {first, std::min(first + 1, count - 1), static_cast<float>(middle - std::floor(middle))};
}

// The value of a stretch; at(i) is the row's i-th.
template <typename At>
float value_over(const Stretch& stretch, At at) {
  if (stretch.blend >= 0) return at(stretch.first) * (1 - stretch.blend) + at(stretch.last) * stretch.blend;
  float most = at(stretch.first);
  for (std::size_t i = stretch.first + 1; i <= stretch.last; ++i) most = std::max(most, at(i));
  return most;
}

}  // namespace

SpectrogramPicture::SpectrogramPicture(const SpectrogramSpec& spec) : spec_(checked(spec)) {
  if (spec_.max_hz == 0) spec_.max_hz = spec_.rate_hz / 2;
  capacity_ = std::clamp<std::size_t>(kMaxLevels / bins(), 2, kMaxColumns) / 2 * 2;
  levels_.reserve(capacity_ * bins());
}

void SpectrogramPicture::add_column(std::span<const float> levels_db) {
  if (levels_db.size() != bins()) {
    throw std::invalid_argument(fmt::format("spectrogram: a column of size {} has {} levels, not {}",
                                            spec_.size, bins(), levels_db.size()));
  }
  if (columns_ % per_kept_ == 0) {
    if (kept() == capacity_) merge_pairs();
    levels_.insert(levels_.end(), bins(), kSilenceDb);
  }
  float* column = levels_.data() + levels_.size() - bins();
  for (const float level : levels_db) {
    if (std::isfinite(level)) *column = std::max(*column, level);
    ++column;
  }
  ++columns_;
}

void SpectrogramPicture::merge_pairs() {
  const std::size_t pairs = kept() / 2;
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    for (std::size_t b = 0; b < bins(); ++b) {
      const float* both = levels_.data() + 2 * pair * bins() + b;
      levels_[pair * bins() + b] = std::max(both[0], both[bins()]);
    }
  }
  levels_.resize(pairs * bins());
  per_kept_ *= 2;
}

double SpectrogramPicture::duration() const noexcept {
  const std::uint64_t samples = columns_ == 0 ? 0 : (columns_ - 1) * spec_.hop + spec_.size;
  return static_cast<double>(samples) / spec_.rate_hz;
}

// The loudest level, rounded up.
double SpectrogramPicture::top_db() const noexcept {
  const float peak = levels_.empty() ? kSilenceDb : *std::max_element(levels_.begin(), levels_.end());
  return peak <= kSilenceDb ? 0 : std::ceil(static_cast<double>(peak) / kTopStep) * kTopStep;
}

void SpectrogramPicture::draw_levels(RgbImage& image) const {
  const auto width = static_cast<double>(spec_.width), height = static_cast<double>(spec_.height);
  const auto size = static_cast<double>(spec_.size), hop = static_cast<double>(spec_.hop);
  std::vector<Stretch> rows;
  for (int y = 0; y < spec_.height; ++y) {
    const auto place = [&](double up) {
      return frequency_at(spec_, up / height) / spec_.rate_hz * size + 0.5;
    };
    rows.push_back(stretch_of(place(height - 1 - y), place(height - y), bins()));
  }
  std::array<Rgb, kShades> shades;
  for (std::size_t i = 0; i < kShades; ++i) shades[i] = level_colour(static_cast<double>(i) / (kShades - 1));
  const double bottom = top_db() - spec_.range_db;
  std::vector<float> column(bins());
  for (int x = 0; x < spec_.width; ++x) {
    const auto place = [&](double pixel) {  // among the kept columns
      const double sample = pixel / width * duration() * spec_.rate_hz;
      return ((sample - size / 2) / hop + 0.5) / static_cast<double>(per_kept_);
    };
    const Stretch time = stretch_of(place(x), place(x + 1), kept());
    for (std::size_t b = 0; b < bins(); ++b) {
      column[b] = value_over(time, [&](std::size_t i) { return levels_[i * bins() + b]; });
    }
    for (int y = 0; y < spec_.height; ++y) {
      const float level =
          value_over(rows[static_cast<std::size_t>(y)], [&](std::size_t b) { return column[b]; });
      const double part = std::clamp((static_cast<double>(level) - bottom) / spec_.range_db, 0.0, 1.0);
      image.set(kPlotLeft + x, kPlotTop + y, shades[static_cast<std::size_t>(part * (kShades - 1) + 0.5)]);
    }
  }
}

RgbImage SpectrogramPicture::render() const {
  RgbImage image(kPlotLeft + spec_.width + kRight, kPlotTop + spec_.height + kBottom, kPaper);
  draw_label(image, kPlotLeft, kPlotTop - kLineHeight - 12, spec_.title);
  image.fill(kPlotLeft, kPlotTop, spec_.width, spec_.height, level_colour(0));
  if (columns_ > 0) draw_levels(image);
  draw_frame(image, kPlotLeft, kPlotTop, spec_.width, spec_.height);
  if (columns_ > 0) {
    draw_time_axis(image, spec_, duration());
  } else {
    constexpr std::string_view kEmpty = "no samples";
    draw_text(image, kPlotLeft + (spec_.width - text_length(kEmpty, kTextScale)) / 2,
              kPlotTop + spec_.height / 2, kEmpty, {.colour = kPaper, .scale = kTextScale});
  }
  draw_frequency_axis(image, spec_);
  draw_level_scale(image, spec_, top_db());
  return image;
}

}  // namespace weir::dsp
