#include "weir/groups.hpp"

#include <algorithm>
#include <optional>

#include "text.hpp"
#include "weir/error.hpp"

namespace weir {
namespace {

// The two sides of an element, so that one text serves both.
struct SourceSide {
  using Pads = SourcePads;
  static constexpr const char* kName = "source";
  static constexpr const char* kOther = "sink";
  static const Pads& of(const PadSelection& item) { return item.srcs(); }
  static PadSelection only(Element& element, Pads pads) { return {element, std::move(pads), SinkPads{}}; }
};
struct SinkSide {
  using Pads = SinkPads;
  static constexpr const char* kName = "sink";
  static constexpr const char* kOther = "source";
  static const Pads& of(const PadSelection& item) { return item.snks(); }
  static PadSelection only(Element& element, Pads pads) { return {element, SourcePads{}, std::move(pads)}; }
};

std::string qualified(const Pad& pad) { return pad.element().name() + ":" + pad.pad_name(); }

template <class Map>
std::string pads_in(const Map& pads) {
  return list_of(pads, [](const auto& entry) { return qualified(*entry.second); });
}

template <class Map>
Map narrowed_pads(const Map& pads, const PadNames& names) {
  Map kept;
  for (const auto& [name, pad] : pads)
    if (names.contains(name) || names.contains(qualified(*pad))) kept.emplace(name, pad);
  return kept;
}

template <class Side>
typename Side::Pads pads_of(const std::vector<PadSelection>& items) {
  typename Side::Pads all;
  for (const PadSelection& item : items) {
    if (item.whole() && Side::of(item).empty()) {
      throw GraphError("element '" + item.element().name() + "' is a " + Side::kOther + ": it has no " +
                       Side::kName + " pads");
    }
    for (const auto& [name, pad] : Side::of(item)) {
      const auto& first = all.emplace(name, pad).first->second;
      if (first != pad) {
        throw GraphError("two " + std::string(Side::kName) + " pads of the group are named '" + name +
                         "': " + first->name() + " and " + pad->name() + "; say which, as \"" +
                         qualified(*pad) + "\" in select() or a link map");
      }
    }
  }
  return all;
}

template <class Side>
auto& pad_of(const std::vector<PadSelection>& items, std::string_view name) {
  typename Side::Pads matches, others;  // by qualified name
  for (const PadSelection& item : items)
    for (const auto& [short_name, pad] : Side::of(item))
      (name == short_name || name == qualified(*pad) ? matches : others).emplace(qualified(*pad), pad);
  if (matches.empty()) {
    throw GraphError(std::string(Side::kName) + " pad '" + std::string(name) + "' not found; there are " +
                     pads_in(others));
  }
  if (matches.size() > 1) {
    throw GraphError(std::string(Side::kName) + " pad '" + std::string(name) +
                     "' is not one pad: say which of " + pads_in(matches));
  }
  return *matches.begin()->second;
}

template <class Side>
std::vector<std::pair<std::string, PadSelection>> one_by_one(const typename Side::Pads& pads) {
  if (pads.empty()) throw GraphError("no " + std::string(Side::kName) + " pads available in this selection");
  std::vector<std::pair<std::string, PadSelection>> singles;
  for (const auto& [name, pad] : pads) singles.emplace_back(name, Side::only(pad->element(), {{name, pad}}));
  return singles;
}

[[noreturn]] void throw_no_match(const PadNames& wanted, const ElementGroup& group) {
  PadNames available;
  for (const PadSelection& item : group.items()) available.merge(item.pad_names());
  throw GraphError("no matching pads found: wanted " + list_of(wanted) + "; there are " + list_of(available));
}

}  // namespace

PadSelection::PadSelection(Element& element, const PadNames& pad_names)
    : PadSelection(PadSelection(element).narrowed(pad_names)) {
  for (const std::string& name : pad_names) {
    if (srcs_.contains(name) || snks_.contains(name)) continue;
    throw GraphError("element '" + element.name() + "' has no pad '" + name + "'; it has " +
                     list_of(PadSelection(element).pad_names()));
  }
}

PadSelection::PadSelection(Element& element, SourcePads srcs, SinkPads snks)
    : element_(&element), srcs_(std::move(srcs)), snks_(std::move(snks)) {}

PadSelection::PadSelection(Element& element) : element_(&element), whole_(true) {
  for (SourcePad& pad : element.source_pads()) srcs_.emplace(pad.pad_name(), &pad);
  for (SinkPad& pad : element.sink_pads()) snks_.emplace(pad.pad_name(), &pad);
}

PadNames PadSelection::pad_names() const {
  PadNames names;
  for (const auto& entry : srcs_) names.insert(entry.first);
  for (const auto& entry : snks_) names.insert(entry.first);
  return names;
}

PadSelection PadSelection::narrowed(const PadNames& pad_names) const {
  return {*element_, narrowed_pads(srcs_, pad_names), narrowed_pads(snks_, pad_names)};
}

std::vector<std::pair<std::string, PadSelection>> PadSelection::select_by_source() const {
  return one_by_one<SourceSide>(srcs_);
}
std::vector<std::pair<std::string, PadSelection>> PadSelection::select_by_sink() const {
  return one_by_one<SinkSide>(snks_);
}

std::vector<Element*> ElementGroup::elements() const {
  std::vector<Element*> unique;
  for (const PadSelection& item : items_)
    if (std::ranges::find(unique, &item.element()) == unique.end()) unique.push_back(&item.element());
  return unique;
}

void ElementGroup::append(const ElementGroup& other) {
  const std::vector<PadSelection> copy = other.items_;  // other may be this
  items_.insert(items_.end(), copy.begin(), copy.end());
}

SourcePads ElementGroup::srcs() const { return pads_of<SourceSide>(items_); }
SinkPads ElementGroup::snks() const { return pads_of<SinkSide>(items_); }
SourcePad& ElementGroup::src(std::string_view name) const { return pad_of<SourceSide>(items_, name); }
SinkPad& ElementGroup::snk(std::string_view name) const { return pad_of<SinkSide>(items_, name); }

ElementGroup ElementGroup::select(const PadNames& pad_names) const {
  std::vector<PadSelection> kept;
  for (const PadSelection& item : items_) {
    PadSelection narrowed = item.narrowed(pad_names);
    if (!narrowed.pad_names().empty()) kept.push_back(std::move(narrowed));
  }
  if (kept.empty()) throw_no_match(pad_names, *this);
  return ElementGroup(std::move(kept));
}

std::vector<std::pair<std::string, PadSelection>> ElementGroup::select_by_source() const {
  return one_by_one<SourceSide>(srcs());
}
std::vector<std::pair<std::string, PadSelection>> ElementGroup::select_by_sink() const {
  return one_by_one<SinkSide>(snks());
}

PadSelection select(Element& element, const PadNames& pad_names) { return {element, pad_names}; }

PadSelection select(const PadSelection& selection, const PadNames& pad_names) {
  return ElementGroup(selection).select(pad_names).items().front();
}

ElementGroup select(const ElementGroup& group, const PadNames& pad_names) { return group.select(pad_names); }

namespace {

using Links = std::vector<std::pair<SourcePad*, SinkPad*>>;

Links links_of_map(const ElementGroup& source, const ElementGroup& sink, const LinkMap& link_map) {
  Links links;
  for (const auto& [sink_name, source_name] : link_map) {
    SinkPad& sink_pad = sink.snk(sink_name);
    links.emplace_back(&source.src(source_name), &sink_pad);
  }
  return links;
}

Links links_of_equal_names(const SourcePads& srcs, const SinkPads& snks) {
  Links links;
  for (const auto& [name, pad] : snks)
    if (const auto source = srcs.find(name); source != srcs.end()) links.emplace_back(source->second, pad);
  return links;
}

Links implicit_links(const ElementGroup& source, const ElementGroup& sink) {
  const SourcePads srcs = source.srcs();
  const SinkPads snks = sink.snks();
  if (srcs.empty() || snks.empty()) {
    throw GraphError("nothing to connect: the source pads are " + pads_in(srcs) + ", the sink pads " +
                     pads_in(snks));
  }
  Links links = links_of_equal_names(srcs, snks);
  if (!links.empty()) return links;
  if (srcs.size() == 1) {
    for (const auto& entry : snks) links.emplace_back(srcs.begin()->second, entry.second);
    return links;
  }
  if (snks.size() == 1) {
    throw GraphError(
        "sink pad " + snks.begin()->second->name() + " takes one source, not all of " + pads_in(srcs) +
        "; name one in a link map or with select(), or put a transform between that merges them");
  }
  throw GraphError("unable to determine an unambiguous linking strategy from source pads " + pads_in(srcs) +
                   " to sink pads " + pads_in(snks) + "; a link map is required");
}

}  // namespace

void connect(Pipeline& pipeline, const ElementGroup& source, const ElementGroup& sink,
             const LinkMap& link_map) {
  const Links links = link_map.empty() ? implicit_links(source, sink) : links_of_map(source, sink, link_map);
  for (const auto& [source_pad, sink_pad] : links) pipeline.link(*source_pad, *sink_pad);
}

}  // namespace weir
