#include "weir/compose.hpp"

#include <algorithm>

#include "weir/error.hpp"

namespace weir {
namespace {

std::string subject(const std::string& name, const char* kind) {
  return "composed " + std::string(kind) + (name.empty() ? "" : " '" + name + "'");
}

bool is_source(const Element& element) { return element.sink_pads().empty(); }
bool is_sink(const Element& element) { return element.source_pads().empty(); }

}  // namespace

bool ComposedSink::at_eos() const {
  return std::ranges::all_of(elements(), [](const Element* element) {
    const auto* sink = dynamic_cast<const SinkElement*>(element);
    return sink == nullptr || sink->at_eos();
  });
}

Compose& Compose::insert(const ElementGroup& elements) {
  for (Element* element : elements.elements()) {
    if (contains(*element)) continue;
    const auto& owned = pipeline_.elements();
    if (std::ranges::none_of(owned, [element](const auto& one) { return one.get() == element; })) {
      throw GraphError("element '" + element->name() + "' can't be composed: it is not in the pipeline");
    }
    elements_.push_back(element);
  }
  return *this;
}

Compose& Compose::link(SourcePad& source, SinkPad& sink) {
  pipeline_.link(source, sink);
  return insert(source.element()).insert(sink.element());
}

Compose& Compose::connect(const ElementGroup& source, const ElementGroup& sink, const LinkMap& link_map) {
  weir::connect(pipeline_, source, sink, link_map);
  return insert(source).insert(sink);
}

bool Compose::contains(const Element& element) const noexcept {
  return std::ranges::find(elements_, &element) != elements_.end();
}

/// What the sub-graph shows at its boundary, and must.
struct Compose::Sides {
  const char* kind;
  bool sources;
  bool sinks;
};

// Elements without a boundary pad are in the group, too: they belong to it wherever it is composed again.
std::vector<PadSelection> Compose::boundary(const std::string& name, Sides sides) const {
  std::vector<PadSelection> items;
  bool has_source_pad = false, has_sink_pad = false;
  for (Element* element : elements_) {
    SourcePads srcs;
    SinkPads snks;
    for (SourcePad& pad : element->source_pads()) {
      const bool inside =
          std::ranges::any_of(pad.sinks(), [this](const SinkPad* s) { return contains(s->element()); });
      if (sides.sources && !inside) srcs.emplace(pad.pad_name(), &pad);
    }
    for (SinkPad& pad : element->sink_pads()) {
      const bool inside = pad.is_linked() && contains(pad.source()->element());
      if (sides.sinks && !inside) snks.emplace(pad.pad_name(), &pad);
    }
    has_source_pad |= !srcs.empty();
    has_sink_pad |= !snks.empty();
    items.emplace_back(*element, std::move(srcs), std::move(snks));
  }
  if (items.empty()) throw GraphError(subject(name, sides.kind) + " requires at least one element");
  if (sides.sources && !has_source_pad)
    throw GraphError(subject(name, sides.kind) + " has no source pad left to link: all are linked inside");
  if (sides.sinks && !has_sink_pad)
    throw GraphError(subject(name, sides.kind) + " has no sink pad left to link: all are linked inside");
  return items;
}

ComposedSource Compose::as_source(std::string name) const {
  bool has_source = elements_.empty();  // then boundary() says what is wrong
  for (const Element* element : elements_) {
    if (is_sink(*element)) {
      throw GraphError(subject(name, "source") + " cannot contain a sink, but has '" + element->name() +
                       "'; compose it as_sink()");
    }
    has_source |= is_source(*element);
  }
  if (!has_source) throw GraphError(subject(name, "source") + " requires at least one source element");
  std::vector<PadSelection> pads = boundary(name, {.kind = "source", .sources = true, .sinks = false});
  return ComposedSource(std::move(name), std::move(pads));
}

ComposedTransform Compose::as_transform(std::string name) const {
  for (const Element* element : elements_) {
    if (is_source(*element) || is_sink(*element)) {
      throw GraphError(subject(name, "transform") + " can only contain transforms, but has " +
                       (is_source(*element) ? "source '" : "sink '") + element->name() + "'");
    }
  }
  std::vector<PadSelection> pads = boundary(name, {.kind = "transform", .sources = true, .sinks = true});
  return ComposedTransform(std::move(name), std::move(pads));
}

ComposedSink Compose::as_sink(std::string name) const {
  bool has_sink = elements_.empty();
  for (const Element* element : elements_) {
    if (is_source(*element)) {
      throw GraphError(subject(name, "sink") + " cannot contain a source, but has '" + element->name() +
                       "'; compose it as_source()");
    }
    has_sink |= is_sink(*element);
  }
  if (!has_sink) throw GraphError(subject(name, "sink") + " requires at least one sink element");
  std::vector<PadSelection> pads = boundary(name, {.kind = "sink", .sources = false, .sinks = true});
  return ComposedSink(std::move(name), std::move(pads));
}

}  // namespace weir
