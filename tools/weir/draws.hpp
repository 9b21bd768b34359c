// What a disturber does is drawn from a seed. Each step draws the same numbers whatever has happened before, so a seed
// always gives the same draws; what they meet is up to the machine.
#pragma once

#include <cstdint>
#include <random>

namespace weir::tool {

struct Draw {
  double pause = 0;           ///< seconds before it is done; 3 ms in the mean
  std::uint64_t what = 0;     ///< which of the disturbances that are left
  std::uint64_t whom = 0;     ///< which of the workers that it may be done to
  double stopped = 0;         ///< seconds, up to 20 ms, if it is a stop
  std::uint64_t garbage = 0;  ///< seed of what is written, if it is garbage
  bool operator==(const Draw&) const = default;
};

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : random_(seed) {}
  Draw next() {
    Draw draw;
    draw.pause = std::exponential_distribution<double>(1 / 0.003)(random_);
    draw.what = random_();
    draw.whom = random_();
    draw.stopped = std::uniform_real_distribution<double>(0, 0.02)(random_);
    draw.garbage = random_();
    return draw;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace weir::tool
