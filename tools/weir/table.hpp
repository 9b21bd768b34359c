// A table of text: columns as wide as their widest cell, two blanks between.
#pragma once

#include <string>
#include <vector>

namespace weir::tool {

enum class Align { left, right };

struct Column {
  std::string title;  ///< where no column has one, there is no line of titles
  Align align = Align::left;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace weir::tool
