// Selections and groups of pads, and the connecting of whole groups:
//   weir::connect(pipeline, weir::group(a, weir::select(b, "L1")), sink);
// They are values that refer to elements of a pipeline and must not outlive it. One thread at a time.
//
// A pad goes by its short name, "L1"; where two elements of a group have one of that name, by "element:L1".
#pragma once

#include <concepts>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/element.hpp"
#include "weir/export.hpp"
#include "weir/pipeline.hpp"

namespace weir {

using SourcePads = std::map<std::string, SourcePad*, std::less<>>;  ///< by short name
using SinkPads = std::map<std::string, SinkPad*, std::less<>>;
using PadNames = std::set<std::string, std::less<>>;
using LinkMap = std::map<std::string, std::string>;  ///< sink pad → source pad

/// Some pads of one element.
class WEIR_API PadSelection {
 public:
  /// The pads of these names, on both sides of the element. Throws GraphError for a name that it hasn't.
  PadSelection(Element& element, const PadNames& pad_names);
  PadSelection(Element& element, SourcePads srcs, SinkPads snks);
  /// The whole element.
  explicit PadSelection(Element& element);

  [[nodiscard]] Element& element() const noexcept { return *element_; }
  [[nodiscard]] bool whole() const noexcept { return whole_; }
  [[nodiscard]] PadNames pad_names() const;
  [[nodiscard]] const SourcePads& srcs() const noexcept { return srcs_; }
  [[nodiscard]] const SinkPads& snks() const noexcept { return snks_; }
  [[nodiscard]] std::vector<Element*> elements() const { return {element_}; }
  /// Those of its pads that have one of these names, short or "element:pad"; may be none.
  [[nodiscard]] PadSelection narrowed(const PadNames& pad_names) const;

  /// Its source (sink) pads one by one. Throws GraphError if there are none.
  [[nodiscard]] std::vector<std::pair<std::string, PadSelection>> select_by_source() const;
  [[nodiscard]] std::vector<std::pair<std::string, PadSelection>> select_by_sink() const;

  bool operator==(const PadSelection&) const = default;

 private:
  Element* element_;
  SourcePads srcs_;
  SinkPads snks_;
  bool whole_ = false;
};

/// Elements and selections, of which `connect` takes the source pads or the sink pads, as the side demands.
/// An element and a selection are groups of one.
class WEIR_API ElementGroup {
 public:
  ElementGroup() = default;
  ElementGroup(Element& element) : items_{PadSelection(element)} {}
  ElementGroup(PadSelection selection) : items_{std::move(selection)} {}
  explicit ElementGroup(std::vector<PadSelection> items) : items_(std::move(items)) {}

  [[nodiscard]] const std::vector<PadSelection>& items() const noexcept { return items_; }
  /// Its elements, each once.
  [[nodiscard]] std::vector<Element*> elements() const;
  void append(const ElementGroup& other);

  /// Throws GraphError if a whole element is on the wrong side (a sink has no source pads), or if two pads
  /// have the same name.
  [[nodiscard]] SourcePads srcs() const;
  [[nodiscard]] SinkPads snks() const;
  /// By short name or "element:pad". Throws GraphError if there is none, or if a short name means several.
  [[nodiscard]] SourcePad& src(std::string_view name) const;
  [[nodiscard]] SinkPad& snk(std::string_view name) const;

  /// The pads of these names; items without one are left out. Throws GraphError if none is left.
  [[nodiscard]] ElementGroup select(const PadNames& pad_names) const;
  [[nodiscard]] std::vector<std::pair<std::string, PadSelection>> select_by_source() const;
  [[nodiscard]] std::vector<std::pair<std::string, PadSelection>> select_by_sink() const;

 private:
  std::vector<PadSelection> items_;
};

[[nodiscard]] WEIR_API PadSelection select(Element& element, const PadNames& pad_names);
/// Narrows a selection. Throws GraphError if nothing is left.
[[nodiscard]] WEIR_API PadSelection select(const PadSelection& selection, const PadNames& pad_names);
[[nodiscard]] WEIR_API ElementGroup select(const ElementGroup& group, const PadNames& pad_names);

/// `select(element, "H1", "L1")`, and the same of a selection and of a group.
template <std::convertible_to<std::string>... Names>
[[nodiscard]] PadSelection select(Element& element, const Names&... pad_names) {
  return select(element, PadNames{std::string(pad_names)...});
}
template <std::convertible_to<std::string>... Names>
[[nodiscard]] PadSelection select(const PadSelection& selection, const Names&... pad_names) {
  return select(selection, PadNames{std::string(pad_names)...});
}
template <std::convertible_to<std::string>... Names>
[[nodiscard]] ElementGroup select(const ElementGroup& group, const Names&... pad_names) {
  return select(group, PadNames{std::string(pad_names)...});
}

template <class T>
concept GroupItem = std::convertible_to<T&, ElementGroup>;

/// Elements, selections and groups as one group.
template <GroupItem... Items>
[[nodiscard]] ElementGroup group(Items&&... items) {
  ElementGroup all;
  (all.append(items), ...);
  return all;
}

/// Links the source pads of one group to the sink pads of another: by the map if given, else those of equal
/// names, else to the only sink pad, else from the only source pad. Throws GraphError if that is ambiguous,
/// where several source pads would meet in one sink pad, and as Pipeline::link does.
WEIR_API void connect(Pipeline& pipeline, const ElementGroup& source, const ElementGroup& sink,
                      const LinkMap& link_map = {});

}  // namespace weir
