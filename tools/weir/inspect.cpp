#include "tools/weir/inspect.hpp"

#include <fmt/format.h>

#include "tools/weir/description_parts.hpp"
#include "tools/weir/settings.hpp"
#include "tools/weir/suggest.hpp"
#include "tools/weir/table.hpp"

namespace weir::tool {
namespace {

std::string number(const Parameter& parameter, double value) {
  if (parameter.type == ParameterType::integer) return std::to_string(static_cast<std::int64_t>(value));
  return to_string(weir::Value(value));
}

/// "0…400", "at least 1", "a, b or c"
std::string range_of(const Parameter& parameter) {
  if (!parameter.choices.empty()) return listed(parameter.choices);
  if (parameter.type == ParameterType::boolean) return "true, false";
  if (parameter.min && parameter.max)
    return number(parameter, *parameter.min) + "…" + number(parameter, *parameter.max);
  if (parameter.min) return "at least " + number(parameter, *parameter.min);
  return parameter.max ? "at most " + number(parameter, *parameter.max) : "";
}

std::string default_of(const Parameter& parameter) {
  if (!parameter.fallback) return "required";
  const std::string text = to_string(*parameter.fallback);
  return text.empty() ? "\"\"" : text;
}

void add_parameter(Table& table, const Parameter& parameter, const std::string& fallback) {
  table.add({"  " + parameter.name, std::string(to_string(parameter.type)), fallback, parameter.unit,
             range_of(parameter), parameter.help});
}

std::string pads_text(const char* kind, const std::vector<std::string>& pads, bool more) {
  std::string text = listed(pads);
  if (more) text = (pads.empty() ? "" : text + ", and ") + std::string("any that a link names");
  return fmt::format("{}  {}\n", kind, text);
}

}  // namespace

std::string list_elements() {
  Table table({{"element"}, {"what it does"}});
  for (const ElementType* type : element_types()) table.add({type->name, type->summary});
  return table.text();
}

std::string describe_element(const ElementType& type) {
  std::string text = type.name + ": " + type.summary + "\n\n";
  text += pads_text("sink pads  ", type.sink_pads, type.more_sink_pads);
  text += pads_text("source pads", type.source_pads, type.more_source_pads);
  Table table({{"parameter"}, {"type"}, {"default"}, {"unit"}, {"range"}, {"meaning"}});
  for (const Parameter& parameter : type.parameters) add_parameter(table, parameter, default_of(parameter));
  for (const Parameter& parameter : common_parameters())
    add_parameter(table, parameter, parameter.fallback ? default_of(parameter) : "");
  return text + "\n" + table.text();
}

}  // namespace weir::tool
