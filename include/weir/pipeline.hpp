// Pipeline: the graph. It owns its elements, links their pads, and says what is wrong with it. One thread at a
// time; running it is Parallelize's work (weir/parallelize.hpp).
#pragma once

#include <concepts>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/element.hpp"
#include "weir/export.hpp"
#include "weir/worker.hpp"

namespace weir {

namespace engine {
struct PipelineMemory;
}

namespace detail {
template <class E>
void add_static_pads(ElementOptions& options);
[[noreturn]] WEIR_API void throw_static_pads(const ElementOptions& options, std::string_view kind);
}  // namespace detail

/// What can be said of a single link.
struct LinkOptions {
  std::optional<Overflow> overflow = {};  ///< what finds no room; else what the sink pad's element says
};

class WEIR_API Pipeline {
 public:
  Pipeline();
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Makes an element in the pipeline. Throws GraphError if its name is taken. A class may have pads of its own:
  /// `static inline const std::vector<std::string> static_source_pads{"out"};` (and static_sink_pads), and refuse
  /// others with `static constexpr bool allow_dynamic_source_pads = false;`.
  template <std::derived_from<Element> E, class... Args>
  E& emplace(ElementOptions options, Args&&... args) {
    detail::add_static_pads<E>(options);
    if (options.name.empty()) options.name = unused_name(demangle(typeid(E).name()));
    return insert(std::make_unique<E>(std::move(options), std::forward<Args>(args)...));
  }
  /// Takes over an element; its static type has to be its own, for its worker to be found.
  template <std::derived_from<Element> E>
  E& insert(std::unique_ptr<E> element) {
    E& e = *element;
    if constexpr (std::derived_from<E, Parallelized>) {
      Parallelized& p = e;
      p.function_ = &E::sub_process_internal;
      p.overrides_pull_ = detail::overrides_pull<E>();
      p.overrides_new_frame_ = detail::overrides_new_frame<E>();
      if constexpr (requires { E::mode_override; }) p.class_mode_ = E::mode_override;
    }
    if (typeid(e) == typeid(E)) {  // else what it overrides is not known here
      static_cast<Element&>(e).has_internal_ = detail::overrides_internal<E>();
      static_cast<Element&>(e).has_ready_ = detail::overrides_ready<E>();
    }
    adopt(std::move(element));
    return e;
  }

  /// Links two pads. A source pad may feed many sink pads; a sink pad has one source. Throws GraphError if the
  /// sink pad is linked already, a pad is of another pipeline, or the link closes a cycle.
  void link(SourcePad& source, SinkPad& sink, const LinkOptions& options = {});
  /// By full names, "numbers:src:out" and "square:snk:in".
  void link(std::string_view source, std::string_view sink, const LinkOptions& options = {});
  /// Links all pads of two elements: by the map (sink pad → source pad) if given, else equal names, else the only
  /// source pad to every sink pad, else the only free sink pad. Throws GraphError if that is ambiguous.
  void connect(Element& source, Element& sink, const std::map<std::string, std::string>& link_map = {});

  /// Throws GraphError with every problem found: no sink, pads that are not linked.
  void check() const;
  [[nodiscard]] const std::vector<std::unique_ptr<Element>>& elements() const noexcept { return elements_; }
  /// By element name; throws GraphError.
  [[nodiscard]] Element& operator[](std::string_view name) const;

  /// Sorted names of pads (or of elements), and of the links between them.
  [[nodiscard]] std::vector<std::string> nodes(bool pads = true, bool intra = false) const;
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> edges(bool pads = true, bool intra = false) const;
  /// Graphviz text.
  [[nodiscard]] std::string to_dot(std::string_view label = {}) const;

  /// Runs to the end with default options: `Parallelize(*this).run()`.
  void run();

 private:
  void adopt(std::unique_ptr<Element> element);
  [[nodiscard]] std::string unused_name(std::string type) const;
  [[nodiscard]] bool reaches(const Element& from, const Element& to) const;

  /// What outlives a run because an element may still hold frames of it; destroyed after the elements.
  std::shared_ptr<engine::PipelineMemory> memory_;
  std::vector<std::unique_ptr<Element>> elements_;
  friend class engine::Run;
  friend class engine::Wiring;
};

namespace detail {
template <class E>
void add_static_pads(ElementOptions& options) {
  if constexpr (requires { E::allow_dynamic_sink_pads; })
    if (!E::allow_dynamic_sink_pads && !options.sink_pads.empty()) throw_static_pads(options, "sink");
  if constexpr (requires { E::allow_dynamic_source_pads; })
    if (!E::allow_dynamic_source_pads && !options.source_pads.empty()) throw_static_pads(options, "source");
  if constexpr (requires { E::static_sink_pads; })
    for (const auto& pad : E::static_sink_pads) options.sink_pads.emplace_back(pad);
  if constexpr (requires { E::static_source_pads; })
    for (const auto& pad : E::static_source_pads) options.source_pads.emplace_back(pad);
}
}  // namespace detail

}  // namespace weir
