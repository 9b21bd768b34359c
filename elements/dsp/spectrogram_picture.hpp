// The picture of a sound: time to the right, frequency upwards, level as colour, with axes and a scale.
//
// Columns of levels (as StreamingStft gives) come one by one and are kept as long as they are few; where they
// pass what memory is set aside for them, neighbours are merged by their maximum, so a day of sound takes no
// more than a minute. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "elements/dsp/png_image.hpp"

namespace weir::dsp {

// Where the top left pixel of the plot lies in the picture.
inline constexpr int kPlotLeft = 116, kPlotTop = 56;

enum class FrequencyScale {
  linear,
  mel,  // as the ear spaces pitch: 2595 log10(1 + f / 700 Hz) (D. O'Shaughnessy, Speech Communication, 1987)
};

struct SpectrogramSpec {
  std::string title{};
  double rate_hz = 48'000;  // of the samples, above 0
  std::size_t size = 512;   // samples per column, even; a column has size / 2 + 1 levels
  std::size_t hop = 128;    // samples from one column to the next, 1 or more
  double max_hz = 0;        // top of the frequency axis, 0 ... rate / 2; 0 stands for rate / 2
  FrequencyScale scale = FrequencyScale::mel;
  double range_db = 80;  // from the loudest level down to the darkest colour, above 0
  int width = 1200;      // of the plot itself in pixels, 300 ... 8000; axes and scale come on top
  int height = 600;      // likewise, 300 ... 8000
};

class SpectrogramPicture {
 public:
  // std::invalid_argument, saying what to change, if a value of the spec is out of range.
  explicit SpectrogramPicture(const SpectrogramSpec& spec);

  // The next column: size / 2 + 1 levels in dBFS, from 0 Hz to rate / 2; else std::invalid_argument.
  void add_column(std::span<const float> levels_db);

  // Columns added so far.
  [[nodiscard]] std::uint64_t columns() const noexcept { return columns_; }

  // The picture of all columns so far. One without columns says so.
  [[nodiscard]] RgbImage render() const;

 private:
  [[nodiscard]] std::size_t bins() const noexcept { return spec_.size / 2 + 1; }
  [[nodiscard]] std::size_t kept() const noexcept { return levels_.size() / bins(); }
  [[nodiscard]] double duration() const noexcept;
  [[nodiscard]] double top_db() const noexcept;
  void merge_pairs();
  void draw_levels(RgbImage& image) const;

  SpectrogramSpec spec_;
  std::size_t capacity_;       // columns kept at most, even
  std::vector<float> levels_;  // kept columns, one after the other
  std::uint64_t columns_ = 0;
  std::uint64_t per_kept_ = 1;  // columns merged into one that is kept, a power of 2
};

}  // namespace weir::dsp
