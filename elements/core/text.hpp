// Lists of names in the messages of this folder.
#pragma once

#include <string>

namespace weir {

/// "a, b, c"; "none" of an empty range. `name` makes the text of an item.
template <class Range, class Name>
std::string list_of(const Range& range, Name name) {
  std::string text;
  for (const auto& item : range) text += (text.empty() ? "" : ", ") + std::string(name(item));
  return text.empty() ? "none" : text;
}
template <class Range>
std::string list_of(const Range& range) {
  return list_of(
      range, [](const auto& item) -> const auto& { return item; });
}

}  // namespace weir
