// The graph that a description means: each element with its type and all its pads, each link between two
// named pads. Links that name no pad get one here.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <weir/pipeline.hpp>
#include <weir/registry.hpp>

#include "tools/weir/description.hpp"

namespace weir::tool {

struct Node {
  const ElementDescription* element = nullptr;  ///< in the description, which has to outlive the graph
  const ElementType* type = nullptr;            ///< null if there is none of that name
  std::vector<std::string> sink_pads = {};
  std::vector<std::string> source_pads = {};
};

struct Edge {
  std::size_t from = 0;  ///< index of a node
  std::string source_pad;
  std::size_t to = 0;
  std::string sink_pad;
  LinkOptions options = {};
};

struct Graph {
  std::vector<Node> nodes;  ///< in the order of the description's elements
  std::vector<Edge> edges;  ///< those that are possible
};

/// Adds all that is wrong with types, pads and links to `problems`: what is unknown, ambiguous, linked twice
/// or not at all, in a cycle, and a pipeline without a sink.
///
/// A link that names no pad begins at the element's first source pad, and ends at its only sink pad that no
/// other link takes; where an element makes sink pads as they are named, at a new one: in0, in1, ….
Graph make_graph(const Description& description, std::vector<DescriptionError>& problems);

}  // namespace weir::tool
