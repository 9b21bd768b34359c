// The registry of element types: how a program makes elements by name, and what `weir inspect` lists. Types are
// registered while the program loads (WEIR_ELEMENT), so it is read-only afterwards and thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/dict.hpp"
#include "weir/element.hpp"
#include "weir/export.hpp"
#include "weir/pipeline.hpp"

namespace weir {

enum class ParameterType : std::uint8_t { boolean, integer, real, text };
WEIR_API std::string_view to_string(ParameterType type) noexcept;

/// What a text parameter names: nothing in particular, or a file ("-": a standard stream; empty: none).
enum class PathUse : std::uint8_t { none, reads, writes };

/// One parameter of an element type; it arrives in worker_argdict under its name.
struct Parameter {
  std::string name;
  ParameterType type = ParameterType::text;
  std::string help;
  std::optional<Value> fallback = {};  ///< none: it has to be given
  std::optional<double> min = {};      ///< of integers and reals
  std::optional<double> max = {};
  std::vector<std::string> choices = {};  ///< of texts; empty: any
  std::string unit = {};
  PathUse path = PathUse::none;
};

struct ElementType {
  std::string name;     ///< "bandpass"
  std::string summary;  ///< one line
  std::vector<std::string> sink_pads = {};    ///< always there
  std::vector<std::string> source_pads = {};
  bool more_sink_pads = false;    ///< others are made as they are named in links
  bool more_source_pads = false;
  std::vector<Parameter> parameters = {};
  /// What the parameters must be to one another: throws, with a message that says what to do. Null: anything goes.
  std::function<void(const Dict& parameters)> check = {};
  /// Whether a worker with restart= can go on for one that has died: throws, as `check` does, where it can't with this
  /// delivery. Null: it can, as far as is known before it runs.
  std::function<void(const Dict& parameters, Delivery delivery)> check_restart = {};
  /// Makes one in the pipeline, from checked parameters in options.worker_argdict and with all its pads named.
  std::function<Element&(Pipeline&, ElementOptions)> make = {};
};

/// All types, sorted by name.
[[nodiscard]] WEIR_API std::vector<const ElementType*> element_types();
/// Null if there is none.
[[nodiscard]] WEIR_API const ElementType* find_element_type(std::string_view name);

/// Fits values to a type's parameters: fills in defaults, converts integers to reals, texts to what they spell and
/// paths to path_for(), checks ranges. Throws ParameterError that names the element and the parameter and says what
/// is allowed.
[[nodiscard]] WEIR_API Dict fit_parameters(const ElementType& type, std::string_view element_name, const Dict& given);

/// What an element is given that uses this path: "-" for another name of the standard stream that it would use, such as
/// /dev/stdout for one that writes, or a link to it; else the path itself.
[[nodiscard]] WEIR_API std::string path_for(PathUse use, const std::string& path);

/// Makes an element of a registered type: fits and checks `options.worker_argdict`, adds the type's pads, and makes it.
/// Throws ParameterError, GraphError.
WEIR_API Element& make_element(Pipeline& pipeline, std::string_view type, ElementOptions options);

namespace detail {
struct WEIR_API ElementRegistration {
  explicit ElementRegistration(ElementType type);
};
}  // namespace detail

}  // namespace weir

/// At namespace scope: registers `E`, made by `pipeline.emplace<E>(options)`, under the description that follows
/// (an ElementType without `make`), and its worker where it has one:
///   WEIR_ELEMENT(Gain, {.name = "gain", .summary = "…", .sink_pads = {"in"}, .source_pads = {"out"}, …});
#define WEIR_ELEMENT(E, ...)                                                                                  \
  static const ::weir::detail::ElementRegistration WEIR_DETAIL_JOIN(weir_element_, __COUNTER__){[] {          \
    ::weir::ElementType type __VA_ARGS__;                                                                     \
    type.make = [](::weir::Pipeline& pipeline, ::weir::ElementOptions options) -> ::weir::Element& {          \
      return pipeline.emplace<E>(std::move(options));                                                         \
    };                                                                                                        \
    return type;                                                                                              \
  }()};                                                                                                       \
  WEIR_DETAIL_END
