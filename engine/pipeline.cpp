#include "weir/pipeline.hpp"

#include <algorithm>
#include <ranges>
#include <set>

#include "engine/run.hpp"

namespace weir {

Pipeline::Pipeline() = default;
Pipeline::~Pipeline() {
  if (memory_ && memory_->left_alone) memory_->in_use.wait(true);
}

void detail::throw_static_pads(const ElementOptions& options, std::string_view kind) {
  throw GraphError("element '" + options.name + "': its class has fixed " + std::string(kind) +
                   " pads; leave the option out");
}

void Pipeline::adopt(std::unique_ptr<Element> element) {
  for (const auto& other : elements_)
    if (other->name() == element->name())
      throw GraphError("there is an element named '" + element->name() + "' already; names are unique in a pipeline");
  elements_.push_back(std::move(element));
}

std::string Pipeline::unused_name(std::string type) const {
  if (const auto colon = type.rfind("::"); colon != std::string::npos) type.erase(0, colon + 2);
  for (int i = 0;; ++i) {
    std::string name = type + std::to_string(i);
    if (std::ranges::none_of(elements_, [&](const auto& e) { return e->name() == name; })) return name;
  }
}

Element& Pipeline::operator[](std::string_view name) const {
  for (const auto& element : elements_)
    if (element->name() == name) return *element;
  throw GraphError("there is no element named '" + std::string(name) + "'");
}

bool Pipeline::reaches(const Element& from, const Element& to) const {
  std::vector<const Element*> open{&from};
  std::set<const Element*> seen;
  while (!open.empty()) {
    const Element* e = open.back();
    open.pop_back();
    if (e == &to) return true;
    if (!seen.insert(e).second) continue;
    for (const SourcePad& pad : e->source_pads())
      for (const SinkPad* sink : pad.sinks()) open.push_back(&sink->element());
  }
  return false;
}

void Pipeline::link(SourcePad& source, SinkPad& sink, const LinkOptions& options) {
  for (const Element* end : {&source.element(), &sink.element()})
    if (std::ranges::none_of(elements_, [&](const auto& e) { return e.get() == end; }))
      throw GraphError("can't link '" + source.name() + "' to '" + sink.name() + "': element '" + end->name() +
                       "' is not in this pipeline");
  if (sink.source_)
    throw GraphError("can't link '" + source.name() + "' to '" + sink.name() + "': the sink pad is linked already, to '" +
                     sink.source_->name() + "'; a sink pad takes one source");
  if (reaches(sink.element(), source.element()))
    throw GraphError("can't link '" + source.name() + "' to '" + sink.name() +
                     "': that closes a cycle; frames flow one way only");
  sink.source_ = &source;
  sink.overflow_ = options.overflow;
  source.sinks_.push_back(&sink);
}

namespace {
template <class Pads>
auto& pad_named(Pads& pads, std::string_view full, const char* kind) {
  for (auto& pad : pads)
    if (pad.name() == full) return pad;
  throw GraphError("there is no " + std::string(kind) + " pad '" + std::string(full) + "'");
}
}  // namespace

void Pipeline::link(std::string_view source, std::string_view sink, const LinkOptions& options) {
  const auto element_of = [&](std::string_view full) -> Element& { return (*this)[full.substr(0, full.find(':'))]; };
  link(pad_named(element_of(source).source_pads_, source, "source"), pad_named(element_of(sink).sink_pads_, sink, "sink"),
       options);
}

void Pipeline::connect(Element& source, Element& sink, const std::map<std::string, std::string>& link_map) {
  if (source.source_pads_.empty())
    throw GraphError("can't connect '" + source.name() + "' to '" + sink.name() + "': '" + source.name() + "' is a sink");
  if (sink.sink_pads_.empty())
    throw GraphError("can't connect '" + source.name() + "' to '" + sink.name() + "': '" + sink.name() + "' is a source");
  if (!link_map.empty()) {
    for (const auto& [to, from] : link_map) link(source.src(from), sink.snk(to));
    return;
  }
  const auto names = [](const auto& pads) {
    std::set<std::string> set;
    for (const auto& pad : pads) set.insert(pad.pad_name());
    return set;
  };
  const auto from = names(source.source_pads_), to = names(sink.sink_pads_);
  std::set<std::string> common;
  std::ranges::set_intersection(from, to, std::inserter(common, common.end()));
  if (!common.empty()) {
    for (const auto& name : common) link(source.src(name), sink.snk(name));
    return;
  }
  if (source.source_pads_.size() == 1) {
    for (SinkPad& pad : sink.sink_pads_) link(source.source_pads_.front(), pad);
    return;
  }
  throw GraphError("can't connect '" + source.name() + "' to '" + sink.name() +
                   "': unable to determine unambiguous linking strategy; give a link map (sink pad → source pad)");
}

void Pipeline::check() const {
  std::string problems;
  const auto add = [&](const std::string& problem) { problems += (problems.empty() ? "" : "\n") + problem; };
  if (elements_.empty()) add("the pipeline is empty; add a source and a sink");
  else if (std::ranges::none_of(elements_, [](const auto& e) { return e->source_pads().empty(); }))
    add("the pipeline has no sink; add one, so that its end can be told");
  for (const auto& element : elements_) {
    for (const SourcePad& pad : element->source_pads())
      if (!pad.is_linked()) add("source pad '" + pad.name() + "' is not linked; link it to a sink pad, such as a null_sink's");
    for (const SinkPad& pad : element->sink_pads())
      if (!pad.is_linked()) add("sink pad '" + pad.name() + "' is not linked; link a source pad to it");
  }
  if (!problems.empty()) throw GraphError(problems);
}

std::vector<std::string> Pipeline::nodes(bool pads, bool intra) const {
  std::set<std::string> names;
  for (const auto& element : elements_) {
    if (!pads) {
      names.insert(element->name());
      continue;
    }
    for (const SourcePad& pad : element->source_pads()) names.insert(pad.name());
    for (const SinkPad& pad : element->sink_pads()) names.insert(pad.name());
    if (intra) names.insert(element->internal_pad().name());
  }
  return {names.begin(), names.end()};
}

std::vector<std::pair<std::string, std::string>> Pipeline::edges(bool pads, bool intra) const {
  std::set<std::pair<std::string, std::string>> found;
  for (const auto& element : elements_) {
    for (const SourcePad& pad : element->source_pads())
      for (const SinkPad* sink : pad.sinks()) {
        if (pads) found.emplace(pad.name(), sink->name());
        else found.emplace(element->name(), sink->element().name());
      }
    if (!pads || !intra) continue;
    for (const SinkPad& pad : element->sink_pads()) found.emplace(pad.name(), element->internal_pad().name());
    for (const SourcePad& pad : element->source_pads()) found.emplace(element->internal_pad().name(), pad.name());
  }
  return {found.begin(), found.end()};
}

namespace {
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

template <class Pads>
std::string ports(const Pads& pads, char side) {
  std::string text;
  for (const auto& pad : pads)
    text += (text.empty() ? "" : "|") + ("<" + std::string(1, side) + std::to_string(pad.index()) + "> " + pad.pad_name());
  return "{" + text + "}";
}
}  // namespace

std::string Pipeline::to_dot(std::string_view label) const {
  std::string dot = "digraph weir {\n  rankdir=LR;\n  node [shape=record, style=filled, fontname=\"sans-serif\"];\n";
  if (!label.empty()) dot += "  label=" + quoted(label) + ";\n";
  for (const auto& element : elements_) {
    const bool source = element->sink_pads().empty(), sink = element->source_pads().empty();
    const char* color = source ? "mediumaquamarine" : sink ? "lightblue" : "lightsteelblue";
    std::string body = element->name() + "\\n" + element->type_name();
    if (!source) body = ports(element->sink_pads(), 'i') + "|" + body;
    if (!sink) body += "|" + ports(element->source_pads(), 'o');
    dot += "  " + quoted(element->name()) + " [fillcolor=" + color + ", label=\"{" + body + "}\"];\n";
  }
  for (const auto& element : elements_)
    for (const SourcePad& pad : element->source_pads())
      for (const SinkPad* to : pad.sinks())
        dot += "  " + quoted(element->name()) + ":o" + std::to_string(pad.index()) + " -> " +
               quoted(to->element().name()) + ":i" + std::to_string(to->index()) + ";\n";
  return dot + "}\n";
}

}  // namespace weir
