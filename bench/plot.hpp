// A chart with two logarithmic axes as SVG: lines with markers, a grid, a legend. Pure text; nothing is
// measured here.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace weir::bench {

struct Line {
  std::string name;
  std::string colour;   ///< as SVG names it: "#1f77b4"
  bool dashed = false;  ///< drawn with square markers as well, so that it is told without its colour
  std::vector<std::pair<double, double>> points = {};  ///< all above 0
};

struct Chart {
  std::string title, subtitle;
  std::string x_label, y_label;
  std::vector<double> x_ticks;                        ///< each is labelled
  std::function<std::string(double)> x_text, y_text;  ///< of ticks
  std::vector<Line> lines;
};

[[nodiscard]] std::string to_svg(const Chart& chart);

}  // namespace weir::bench
