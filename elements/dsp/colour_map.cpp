#include "elements/dsp/colour_map.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace weir::dsp {
namespace {

struct Point {
  double lightness, chroma, hue;  // Oklab: 0 ... 1, 0 ... about 0.2, degrees
};

// Equally far apart; lightness rises by the same step every time.
constexpr std::array<Point, 6> kPath{{{0.17, 0.060, 290},
                                      {0.325, 0.125, 283},
                                      {0.48, 0.105, 240},
                                      {0.635, 0.105, 178},
                                      {0.79, 0.165, 137},
                                      {0.945, 0.160, 104}}};

double between(double a, double b, double part) { return a + (b - a) * part; }

// A linear light intensity as an sRGB byte (IEC 61966-2-1).
std::uint8_t srgb(double linear) {
  const double x = std::clamp(linear, 0.0, 1.0);
  const double encoded = x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(255 * encoded));
}

double cube(double x) { return x * x * x; }

}  // namespace

Rgb level_colour(double level) noexcept {
  const double place = std::clamp(level, 0.0, 1.0) * static_cast<double>(kPath.size() - 1);
  const std::size_t index = std::min(static_cast<std::size_t>(place), kPath.size() - 2);
  const double part = place - static_cast<double>(index);
  const Point& from = kPath[index];
  const Point& to = kPath[index + 1];
  const double lightness = between(from.lightness, to.lightness, part);
  const double chroma = between(from.chroma, to.chroma, part);
  const double hue = between(from.hue, to.hue, part) * std::numbers::pi / 180;
  const double a = chroma * std::cos(hue), b = chroma * std::sin(hue);
  const double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
  const double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
  const double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
  return {srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
          srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
          srgb(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

}  // namespace weir::dsp
