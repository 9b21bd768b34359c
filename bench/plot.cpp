#include "bench/plot.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace weir::bench {
namespace {

constexpr double kWidth = 900, kHeight = 520;
constexpr double kLeft = 90, kRight = 720, kTop = 70, kBottom = 450;  // of the area that is drawn in

/// From a value to a place on a line, by its logarithm.
class Axis {
 public:
  Axis(double low, double high, double from, double to)
      : low_(std::log(low)), high_(std::log(std::max(high, low * 1.0001))), from_(from), to_(to) {}
  [[nodiscard]] double operator()(double value) const {
    return from_ + (std::log(value) - low_) / (high_ - low_) * (to_ - from_);
  }

 private:
  double low_, high_, from_, to_;
};

/// Powers of ten, and where those would be few 2 and 5 times as much, that cover the range.
std::vector<double> ticks_over(double low, double high) {
  std::vector<double> ticks;
  const bool few = high / low < 300;
  for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high * 10; decade *= 10)
    for (const double step : {1.0, 2.0, 5.0})
      if (step == 1 || few) ticks.push_back(decade * step);
  while (ticks.size() > 1 && ticks[1] <= low) ticks.erase(ticks.begin());
  while (ticks.size() > 2 && ticks[ticks.size() - 2] >= high) ticks.pop_back();
  return ticks;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

std::string label(double x, double y, const char* anchor, int size, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\">{}</text>\n", x, y,
                     anchor, size, escaped(text));
}

std::string rule(double x1, double y1, double x2, double y2, const char* style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2,
                     style);
}

std::string marker(const Line& line, double x, double y) {
  if (line.dashed)
    return fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"8\" height=\"8\" fill=\"white\" stroke=\"{}\" "
        "stroke-width=\"2\"/>\n",
        x - 4, y - 4, line.colour);
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x, y, line.colour);
}

std::string stroke(const Line& line) {
  return fmt::format("fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{}", line.colour,
                     line.dashed ? " stroke-dasharray=\"7 4\"" : "");
}

std::string draw(const Line& line, const Axis& x, const Axis& y) {
  std::string points, markers;
  for (const auto& [at, value] : line.points) {
    points += fmt::format("{:.1f},{:.1f} ", x(at), y(value));
    markers += marker(line, x(at), y(value));
  }
  return fmt::format("<polyline points=\"{}\" {}/>\n", points, stroke(line)) + markers;
}

}  // namespace

std::string to_svg(const Chart& chart) {
  constexpr const char* kGrid = "stroke=\"#dddddd\"";
  double low = HUGE_VAL, high = 0;
  for (const Line& line : chart.lines)
    for (const auto& point : line.points)
      low = std::min(low, point.second), high = std::max(high, point.second);
  if (high == 0) low = 1, high = 10;
  const std::vector<double> y_ticks = ticks_over(low, high);
  const Axis x(chart.x_ticks.front(), chart.x_ticks.back(), kLeft + 15, kRight - 15);
  const Axis y(y_ticks.front(), y_ticks.back(), kBottom, kTop);

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" fill=\"#222222\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      kWidth, kHeight);
  svg += label(kLeft, 30, "start", 20, chart.title) + label(kLeft, 52, "start", 13, chart.subtitle);
  for (const double tick : y_ticks)
    svg += rule(kLeft, y(tick), kRight, y(tick), kGrid) +
           label(kLeft - 8, y(tick) + 4, "end", 13, chart.y_text(tick));
  for (const double tick : chart.x_ticks)
    svg += rule(x(tick), kTop, x(tick), kBottom, kGrid) +
           label(x(tick), kBottom + 20, "middle", 12, chart.x_text(tick));
  svg +=
      fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#888888\"/>\n",
                  kLeft, kTop, kRight - kLeft, kBottom - kTop);
  svg += label((kLeft + kRight) / 2, kBottom + 48, "middle", 14, chart.x_label);
  svg += fmt::format(
      "<text transform=\"translate(22 {}) rotate(-90)\" text-anchor=\"middle\" font-size=\"14\">{}</text>\n",
      (kTop + kBottom) / 2, escaped(chart.y_label));
  double row = kTop + 12;
  for (const Line& line : chart.lines) {
    svg += draw(line, x, y);
    svg += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>\n", kRight + 15, row, kRight + 55,
                       row, stroke(line));
    svg += marker(line, kRight + 35, row) + label(kRight + 64, row + 5, "start", 13, line.name);
    row += 26;
  }
  return svg + "</svg>\n";
}

}  // namespace weir::bench
