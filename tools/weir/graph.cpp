#include "tools/weir/graph.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <ranges>
#include <unordered_map>
#include <utility>

#include "tools/weir/description_parts.hpp"
#include "tools/weir/settings.hpp"
#include "tools/weir/suggest.hpp"

namespace weir::tool {
namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

std::string shown(const Where& where) {
  return std::to_string(where.line) + ":" + std::to_string(where.column);
}

bool comes_before(const Where& a, const Where& b) {
  return std::pair(a.line, a.column) < std::pair(b.line, b.column);
}

class GraphMaker {
 public:
  GraphMaker(const Description& description, std::vector<DescriptionError>& problems)
      : description_(description), problems_(problems) {}

  Graph make() {
    for (const ElementDescription& element : description_.elements) add_node(element);
    std::vector<std::optional<Edge>> edges;
    for (const LinkDescription& link : description_.links) edges.push_back(begin_edge(link));
    // Pads that are named are taken before others are chosen, wherever they stand.
    for (const bool named : {true, false})
      for (std::size_t i = 0; i < edges.size(); ++i)
        if (edges[i] && description_.links[i].sink.pad.empty() != named &&
            !end_edge(*edges[i], description_.links[i]))
          edges[i].reset();
    for (std::size_t i = 0; i < edges.size(); ++i)
      if (edges[i]) add_edge(std::move(*edges[i]), description_.links[i].sink.where);
    check_pads_linked();
    check_sink();
    return std::move(graph_);
  }

 private:
  void add_node(const ElementDescription& element) {
    Node node{.element = &element, .type = find_element_type(element.type)};
    if (node.type != nullptr) {
      node.sink_pads = node.type->sink_pads;
      node.source_pads = node.type->source_pads;
    } else {
      std::vector<std::string> known;
      for (const ElementType* type : element_types()) known.push_back(type->name);
      problems_.emplace_back(element.where, "there is no element type " + shown_text(element.type) + "; " +
                                                suggestion(element.type, known));
    }
    index_.emplace(element.name, graph_.nodes.size());
    graph_.nodes.push_back(std::move(node));
  }

  /// Its source pad. Nothing where an end is of an unknown type: what may be wrong there follows from that.
  std::optional<Edge> begin_edge(const LinkDescription& link) {
    Edge edge{.from = index_.at(link.source.element), .to = index_.at(link.sink.element)};
    for (const Setting& setting : link.settings) {
      if (setting.name != "overflow")
        problems_.emplace_back(setting.where, "a link has no parameter " + shown_text(setting.name) +
                                                  " but overflow; set queue= at the element that it leads to");
      else if (!(edge.options.overflow = overflow_from(setting.text)))
        problems_.emplace_back(setting.where, "overflow is " + shown_text(setting.text) + "; it has to be " +
                                                  listed(overflow_names()));
    }
    Node& node = graph_.nodes[edge.from];
    if (node.type == nullptr) return give_up(edge, link);
    edge.source_pad = link.source.pad;
    if (edge.source_pad.empty()) {
      if (node.source_pads.empty() && node.type->more_source_pads) node.source_pads.push_back("out");
      if (!node.source_pads.empty()) edge.source_pad = node.source_pads.front();
    } else if (!has(node.source_pads, edge.source_pad) && node.type->more_source_pads) {
      node.source_pads.push_back(edge.source_pad);
    }
    if (has(node.source_pads, edge.source_pad)) return edge;
    add_no_pad(link.source, node, "source", node.source_pads);
    return give_up(edge, link);
  }

  /// The sink's pad still counts as linked, if it is clear which one.
  std::optional<Edge> give_up(const Edge& edge, const LinkDescription& link) {
    if (link.sink.pad.empty())
      open_ended_.push_back(edge.to);
    else
      taken_.emplace(std::pair(edge.to, link.sink.pad), link.sink.where);
    return std::nullopt;
  }

  bool end_edge(Edge& edge, const LinkDescription& link) {
    Node& node = graph_.nodes[edge.to];
    if (node.type == nullptr) {
      linked_sources_[edge.from].push_back(edge.source_pad);
      return false;
    }
    edge.sink_pad = link.sink.pad.empty() ? choose_sink_pad(edge, link) : link.sink.pad;
    if (!edge.sink_pad.empty() && !has(node.sink_pads, edge.sink_pad)) {
      if (!node.type->more_sink_pads) {
        add_no_pad(link.sink, node, "sink", node.sink_pads);
        edge.sink_pad.clear();
      } else {
        node.sink_pads.push_back(edge.sink_pad);
      }
    }
    linked_sources_[edge.from].push_back(edge.source_pad);
    if (edge.sink_pad.empty()) return false;
    const auto [holder, free] = taken_.emplace(std::pair(edge.to, edge.sink_pad), link.sink.where);
    if (!free) {  // pads that are named come first here; the one too many is the later one in the text
      const auto [first, second] =
          std::minmax(holder->second, link.sink.where, comes_before);
      problems_.emplace_back(second, "sink pad " + shown_text(edge.sink_pad) + " of " +
                                         shown_text(node.element->name) + " is linked already, at " + shown(first) +
                                         "; a sink pad takes one source");
    }
    return free;
  }

  /// Empty, and a problem, where there is none or more than one.
  std::string choose_sink_pad(const Edge& edge, const LinkDescription& link) {
    Node& node = graph_.nodes[edge.to];
    std::vector<std::string> free;
    std::ranges::copy_if(node.sink_pads, std::back_inserter(free), [&](const std::string& pad) {
      return !taken_.contains({edge.to, pad});
    });
    if (free.size() == 1) return free.front();
    if (free.empty() && node.type->more_sink_pads) {
      int number = 0;
      while (has(node.sink_pads, "in" + std::to_string(number))) ++number;
      return "in" + std::to_string(number);
    }
    if (free.empty() && node.sink_pads.size() == 1) return node.sink_pads.front();  // linked twice
    if (node.sink_pads.empty()) {
      add_no_pad(link.sink, node, "sink", node.sink_pads);
    } else if (free.empty()) {
      problems_.emplace_back(link.sink.where, "all sink pads of " + shown_text(node.element->name) +
                                                  " are linked already (" + listed(node.sink_pads) +
                                                  "); a sink pad takes one source");
    } else {
      problems_.emplace_back(link.sink.where,
                             shown_text(node.element->name) + " has several free sink pads (" + listed(free) +
                                 "); name one, such as " + node.element->name + "." + free.front());
      open_ended_.push_back(edge.to);
    }
    return {};
  }

  void add_no_pad(const PadReference& end, const Node& node, const std::string& kind,
                  const std::vector<std::string>& pads) {
    const std::string element = shown_text(node.element->name) + " (" + node.type->name + ")";
    if (pads.empty()) {
      const std::string why = kind == "source" ? "it gives no frames; end the chain there"
                                               : "it takes no frames; begin a chain with it";
      problems_.emplace_back(end.where, "element " + element + " has no " + kind + " pads: " + why);
    } else {
      problems_.emplace_back(end.where, "element " + element + " has no " + kind + " pad " +
                                            shown_text(end.pad) + "; " + suggestion(end.pad, pads));
    }
  }

  void add_edge(Edge edge, const Where& where) {
    if (reaches(edge.to, edge.from)) {
      problems_.emplace_back(where, "the link from " + shown_text(graph_.nodes[edge.from].element->name) +
                                        " to " + shown_text(graph_.nodes[edge.to].element->name) +
                                        " closes a cycle; frames flow one way only, so remove a link of it");
      return;
    }
    followers_[edge.from].push_back(edge.to);
    graph_.edges.push_back(std::move(edge));
  }

  bool reaches(std::size_t from, std::size_t to) {
    std::vector<std::size_t> open{from};
    std::vector<bool> seen(graph_.nodes.size());
    while (!open.empty()) {
      const std::size_t node = open.back();
      open.pop_back();
      if (node == to) return true;
      if (seen[node]) continue;
      seen[node] = true;
      std::ranges::copy(followers_[node], std::back_inserter(open));
    }
    return false;
  }

  void check_pads_linked() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      const auto add = [&](const char* kind, const std::string& pad, const char* advice) {
        problems_.emplace_back(node.element->where, std::string(kind) + " pad " + shown_text(pad) + " of " +
                                                        shown_text(node.element->name) + " is not linked; " +
                                                        advice);
      };
      for (const std::string& pad : node.source_pads)
        if (!has(linked_sources_[i], pad)) add("source", pad, "link it to an element that takes its frames");
      if (std::ranges::find(open_ended_, i) != open_ended_.end()) continue;  // which one is open is not clear
      for (const std::string& pad : node.sink_pads)
        if (!taken_.contains({i, pad})) add("sink", pad, "link a source to it");
    }
  }

  void check_sink() {
    const auto may_end = [](const Node& node) { return node.type == nullptr || node.source_pads.empty(); };
    if (graph_.nodes.empty() || std::ranges::any_of(graph_.nodes, may_end)) return;
    problems_.emplace_back(graph_.nodes.back().element->where,
                           "the pipeline has no sink; end it with an element that has no source pads");
  }

  const Description& description_;
  std::vector<DescriptionError>& problems_;
  Graph graph_;
  std::unordered_map<std::string, std::size_t> index_;
  std::map<std::pair<std::size_t, std::string>, Where> taken_;      ///< sink pads, and where they were linked
  std::map<std::size_t, std::vector<std::string>> linked_sources_;  ///< source pads that are linked
  std::map<std::size_t, std::vector<std::size_t>> followers_;       ///< nodes that a node is linked to
  std::vector<std::size_t>
      open_ended_;  ///< nodes where a link ends that has no pad, as something else is wrong
};

}  // namespace

Graph make_graph(const Description& description, std::vector<DescriptionError>& problems) {
  return GraphMaker(description, problems).make();
}

}  // namespace weir::tool
