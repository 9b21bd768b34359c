// Compose: a sub-graph that is used as one source, transform or sink. Its elements are made in the pipeline
// and are the pipeline's own: they keep their names, run wherever their modes say, and nothing stands between
// a frame and them. What is composed is the view: the pads at the sub-graph's boundary, by short name.
//
//   weir::Compose compose(pipeline);
//   auto& mic = compose.emplace<Microphone>({.name = "mic", .source_pads = {"out"}});
//   auto& filter = compose.emplace<Filter>({.name = "filter", .sink_pads = {"in"}, .source_pads = {"out"}});
//   weir::ComposedSource voice = compose.connect(mic, filter).as_source("voice");
//   weir::connect(pipeline, voice, recorder);
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/export.hpp"
#include "weir/groups.hpp"
#include "weir/pipeline.hpp"

namespace weir {

/// A group of the boundary's pads: those that no link inside the sub-graph uses. `select`, `group` and
/// `connect` take it as any other group. Where two inner elements have a boundary pad of one name,
/// "element:pad" says which.
class WEIR_API Composed : public ElementGroup {
 public:
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 protected:
  Composed(std::string name, std::vector<PadSelection> boundary)
      : ElementGroup(std::move(boundary)), name_(std::move(name)) {}

 private:
  std::string name_;
};

class WEIR_API ComposedSource : public Composed {
 private:
  friend class Compose;
  using Composed::Composed;
};

class WEIR_API ComposedTransform : public Composed {
 private:
  friend class Compose;
  using Composed::Composed;
};

class WEIR_API ComposedSink : public Composed {
 public:
  /// All inner sinks are at EOS.
  [[nodiscard]] bool at_eos() const;

 private:
  friend class Compose;
  using Composed::Composed;
};

class WEIR_API Compose {
 public:
  explicit Compose(Pipeline& pipeline) : pipeline_(pipeline) {}

  /// Makes an element in the pipeline, as Pipeline::emplace does, as part of the sub-graph.
  template <std::derived_from<Element> E, class... Args>
  E& emplace(ElementOptions options, Args&&... args) {
    E& element = pipeline_.emplace<E>(std::move(options), std::forward<Args>(args)...);
    insert(element);
    return element;
  }
  template <std::derived_from<Element> E>
  E& insert(std::unique_ptr<E> element) {
    E& inserted = pipeline_.insert(std::move(element));
    insert(inserted);
    return inserted;
  }
  /// Takes in elements of the pipeline. Throws GraphError if one is not the pipeline's.
  Compose& insert(const ElementGroup& elements);

  /// Link as the pipeline does, and take in the elements that are not in yet.
  Compose& link(SourcePad& source, SinkPad& sink);
  Compose& connect(const ElementGroup& source, const ElementGroup& sink, const LinkMap& link_map = {});

  /// The boundary's source pads. Throws GraphError with a sink, or without a source element or such a pad.
  [[nodiscard]] ComposedSource as_source(std::string name = {}) const;
  /// The boundary's pads on both sides. Throws GraphError unless all elements are transforms.
  [[nodiscard]] ComposedTransform as_transform(std::string name = {}) const;
  /// The boundary's sink pads. Throws GraphError with a source element, or without a sink or such a pad.
  [[nodiscard]] ComposedSink as_sink(std::string name = {}) const;

 private:
  struct Sides;
  [[nodiscard]] std::vector<PadSelection> boundary(const std::string& name, Sides sides) const;
  [[nodiscard]] bool contains(const Element& element) const noexcept;

  Pipeline& pipeline_;
  std::vector<Element*> elements_;
};

}  // namespace weir
