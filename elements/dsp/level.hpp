// How loud samples are: RMS and peak per channel, in dBFS.
//
// 0 dBFS is the amplitude 1: a full-scale square wave has an RMS and a peak of 0 dBFS, a full-scale sine an
// RMS of -3.01 dBFS (as SoX, FFmpeg and GStreamer count; AES17 adds 3.01 dB to RMS). One thread, no
// allocation after the constructor; sums run in double from sample to sample, so cuts of the stream change
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weir::dsp {

// What silence reads, instead of minus infinity: nothing in 32-bit floats of sane gain is so quiet.
inline constexpr float kSilenceDb = -200.0F;

// 10 log10(power), at least kSilenceDb.
[[nodiscard]] float power_to_db(double power) noexcept;

class LevelMeter {
 public:
  // Throws std::invalid_argument if channels is 0.
  explicit LevelMeter(std::size_t channels);

  // Interleaved samples, whole instants; else std::invalid_argument.
  void push(std::span<const float> in);
  // Measure anew from here.
  void reset() noexcept;

  [[nodiscard]] std::size_t channels() const noexcept { return channels_.size(); }
  [[nodiscard]] std::uint64_t instants() const noexcept { return instants_; }
  // dBFS since the start or the last reset; kSilenceDb if nothing came.
  [[nodiscard]] float rms_db(std::size_t channel) const;
  [[nodiscard]] float peak_db(std::size_t channel) const;

 private:
  struct Channel {
    double squares = 0;
    float peak = 0;
  };
  std::vector<Channel> channels_;
  std::uint64_t instants_ = 0;
};

}  // namespace weir::dsp
