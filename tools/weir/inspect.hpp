// What elements there are, and what one takes.
#pragma once

#include <string>

#include <weir/registry.hpp>

namespace weir::tool {

/// A line for each type.
std::string list_elements();

/// Pads and parameters.
std::string describe_element(const ElementType& type);

}  // namespace weir::tool
