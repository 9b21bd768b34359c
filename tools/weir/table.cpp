#include "tools/weir/table.hpp"

#include <algorithm>
#include <cstddef>

#include "tools/weir/numbers.hpp"

namespace weir::tool {

std::string Table::text() const {
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  std::vector<std::vector<std::string>> lines;
  if (std::ranges::any_of(titles, [](const std::string& title) { return !title.empty(); }))
    lines.push_back(titles);
  lines.insert(lines.end(), rows_.begin(), rows_.end());

  std::vector<std::size_t> widths(columns_.size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width_of(line[i]));
  std::string text;
  for (const auto& line : lines) {
    std::string out;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (i > 0) out += "  ";
      out += columns_[i].align == Align::right ? right_in(widths[i], line[i]) : left_in(widths[i], line[i]);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    text += out + "\n";
  }
  return text;
}

}  // namespace weir::tool
