// Validators: what an element demands of its pads, said in one line of its constructor. Each throws a
// GraphError that names the element and what it has. For any thread; they only read.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "weir/element.hpp"
#include "weir/export.hpp"

namespace weir::validator {

struct PadCounts {
  std::optional<std::size_t> sink_pads = {};  ///< nothing: any number
  std::optional<std::size_t> source_pads = {};
};

WEIR_API void one_to_one(const Element& element);       ///< one sink pad, one source pad
WEIR_API void one_to_many(const Element& element);      ///< one sink pad
WEIR_API void many_to_one(const Element& element);      ///< one source pad
WEIR_API void single_pad(const Element& element);       ///< one sink pad; for sinks
WEIR_API void pad_names_match(const Element& element);  ///< the same names on both sides, in any order
WEIR_API void num_pads(const Element& element, const PadCounts& counts);

using Names = std::set<std::string>;
WEIR_API void names_match(const Element& element, std::string_view what, const Names& expected,
                          const Names& found);

/// The keys of a map are the names of these pads of the element, all of them and no others. `what` is the
/// map's name in the message.
template <class Pads, class Map>
void keys_match(const Element& element, const Pads& pads, std::string_view what, const Map& map) {
  Names expected, found;
  for (const auto& pad : pads) expected.insert(pad.pad_name());
  for (const auto& entry : map) found.insert(entry.first);
  names_match(element, what, expected, found);
}

}  // namespace weir::validator
