#include "weir/registry.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <functional>

#include <unistd.h>

#include "engine/plan.hpp"
#include "weir/stdio.hpp"

namespace weir {

namespace {

// Filled while the program loads, read afterwards. Function-local, so that registrations of any file find them.
std::map<std::string, WorkerFunction>& workers() {
  static std::map<std::string, WorkerFunction> map;
  return map;
}
std::map<std::string, ElementType, std::less<>>& types() {
  static std::map<std::string, ElementType, std::less<>> map;
  return map;
}

[[noreturn]] void refuse(std::string_view element, const Parameter& p, const Value& value, const std::string& allowed) {
  const std::string owner = element.empty() ? "" : "element '" + std::string(element) + "': ";
  throw ParameterError(owner + p.name + "=" + to_string(value) + " is not possible; it takes " + allowed);
}

std::string allowed_values(const Parameter& p) {
  std::string text;
  switch (p.type) {
    case ParameterType::boolean: return "true or false";
    case ParameterType::integer: text = "an integer"; break;
    case ParameterType::real: text = "a number"; break;
    case ParameterType::text: text = "a text"; break;
  }
  if (!p.choices.empty()) {
    text = "one of ";
    for (std::size_t i = 0; i < p.choices.size(); ++i) text += (i == 0 ? "" : ", ") + p.choices[i];
  }
  const auto number = [&](double d) { return p.type == ParameterType::integer ? std::to_string(static_cast<std::int64_t>(d)) : to_string(Value(d)); };
  if (p.min && p.max) text += " from " + number(*p.min) + " to " + number(*p.max);
  else if (p.min) text += " of at least " + number(*p.min);
  else if (p.max) text += " of at most " + number(*p.max);
  return p.unit.empty() ? text : text + " (" + p.unit + ")";
}

/// What the text spells as this type, where it does.
std::optional<Value> spelled(ParameterType type, const std::string& text) {
  const char* end = text.data() + text.size();
  if (type == ParameterType::boolean && (text == "true" || text == "false")) return Value(text == "true");
  if (type == ParameterType::integer) {
    std::int64_t number = 0;
    if (const auto r = std::from_chars(text.data(), end, number); r.ec == std::errc() && r.ptr == end) return Value(number);
  }
  if (type == ParameterType::real) {
    double number = 0;
    if (const auto r = std::from_chars(text.data(), end, number); r.ec == std::errc() && r.ptr == end) return Value(number);
  }
  return std::nullopt;
}

Value fit(std::string_view element, const Parameter& p, const Value& given) {
  std::optional<Value> value;
  if (given.index() == static_cast<std::size_t>(p.type)) value = given;
  else if (p.type == ParameterType::text) value = Value(to_string(given));
  else if (p.type == ParameterType::real && std::holds_alternative<std::int64_t>(given))
    value = Value(static_cast<double>(std::get<std::int64_t>(given)));
  else if (const auto* text = std::get_if<std::string>(&given)) value = spelled(p.type, *text);
  if (!value) refuse(element, p, given, allowed_values(p));
  std::optional<double> number;
  if (const auto* i = std::get_if<std::int64_t>(&*value)) number = static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&*value)) number = *d;
  if (number && ((p.min && !(*number >= *p.min)) || (p.max && !(*number <= *p.max)))) refuse(element, p, given, allowed_values(p));
  if (const auto* text = std::get_if<std::string>(&*value); text && !p.choices.empty() && std::ranges::find(p.choices, *text) == p.choices.end())
    refuse(element, p, given, allowed_values(p));
  if (p.path != PathUse::none) value = Value(path_for(p.path, to_string(*value)));
  return *value;
}

void check_together(const ElementType& type, const ElementOptions& options) {
  try {
    if (type.check) type.check(options.worker_argdict);
    if (type.check_restart && options.restart != Restart::never)
      type.check_restart(options.worker_argdict, options.delivery);
  } catch (const std::exception& error) {
    throw ParameterError("element '" + options.name + "' (" + type.name + "): " + error.what());
  }
}

/// In a sandbox it may read the files that its parameters name, and write none.
void name_files(const ElementType& type, ElementOptions& options) {
  if (options.sandbox == Sandbox::none) return;
  for (const Parameter& parameter : type.parameters) {
    if (parameter.path == PathUse::none) continue;
    const std::string path = to_string(*options.worker_argdict.find(parameter.name));
    if (path.empty()) continue;
    if (parameter.path == PathUse::writes)
      throw ParameterError("element '" + options.name + "' (" + type.name + ") writes a file, " + parameter.name + "=" +
                           path + ", which no worker in a sandbox may; leave sandbox= out there");
    options.sandbox_reads.push_back(path);
  }
}

template <class Items, class Name>
std::string joined(const Items& items, Name name) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ", ") + std::invoke(name, item);
  return text.empty() ? "none" : text;
}

}  // namespace

std::string_view to_string(ParameterType type) noexcept {
  switch (type) {
    case ParameterType::boolean: return "boolean";
    case ParameterType::integer: return "integer";
    case ParameterType::real: return "real";
    case ParameterType::text: return "text";
  }
  return "?";
}

std::vector<const ElementType*> element_types() {
  std::vector<const ElementType*> all;
  for (const auto& [name, type] : types()) all.push_back(&type);
  return all;
}

const ElementType* find_element_type(std::string_view name) {
  const auto it = types().find(name);
  return it == types().end() ? nullptr : &it->second;
}

std::string path_for(PathUse use, const std::string& path) {
  const int stream = use == PathUse::reads ? STDIN_FILENO : STDOUT_FILENO;
  return use != PathUse::none && descriptor_named(path) == stream ? "-" : path;
}

Dict fit_parameters(const ElementType& type, std::string_view element_name, const Dict& given) {
  Dict fitted;
  for (const auto& [name, value] : given)
    if (std::ranges::find(type.parameters, name, &Parameter::name) == type.parameters.end())
      throw ParameterError("element '" + std::string(element_name) + "' (" + type.name + ") has no parameter '" + name +
                           "'; it has: " + joined(type.parameters, &Parameter::name));
  for (const Parameter& p : type.parameters) {
    if (const Value* value = given.find(p.name)) fitted.set(p.name, fit(element_name, p, *value));
    else if (p.fallback) fitted.set(p.name, *p.fallback);
    else
      throw ParameterError("element '" + std::string(element_name) + "' (" + type.name + ") needs " + p.name + "=: " +
                           p.help + "; it takes " + allowed_values(p));
  }
  return fitted;
}

Element& make_element(Pipeline& pipeline, std::string_view type_name, ElementOptions options) {
  const ElementType* type = find_element_type(type_name);
  if (!type)
    throw GraphError("there is no element type '" + std::string(type_name) + "'; there are: " +
                     joined(types(), [](const auto& entry) { return entry.first; }));
  options.worker_argdict = fit_parameters(*type, options.name, options.worker_argdict);
  check_together(*type, options);
  name_files(*type, options);
  const auto complete = [&](std::vector<std::string>& pads, const std::vector<std::string>& own, bool more, const char* kind) {
    for (const std::string& pad : pads)
      if (!more && std::ranges::find(own, pad) == own.end())
        throw GraphError("element '" + options.name + "' (" + type->name + ") has no " + kind + " pad '" + pad +
                         "'; it has: " + joined(own, std::identity()));
    for (auto pad = own.rbegin(); pad != own.rend(); ++pad)
      if (std::ranges::find(pads, *pad) == pads.end()) pads.insert(pads.begin(), *pad);
  };
  complete(options.sink_pads, type->sink_pads, type->more_sink_pads, "sink");
  complete(options.source_pads, type->source_pads, type->more_source_pads, "source");
  return type->make(pipeline, std::move(options));
}

namespace detail {

WorkerRegistration::WorkerRegistration(const char* name, WorkerFunction function) { workers()[name] = function; }

ElementRegistration::ElementRegistration(ElementType type) { types()[type.name] = std::move(type); }

}  // namespace detail

namespace engine {

std::string registered_name(WorkerFunction function) {
  for (const auto& [name, registered] : workers())
    if (registered == function) return name;
  return {};
}

WorkerFunction registered_function(const std::string& name) {
  const auto it = workers().find(name);
  return it == workers().end() ? nullptr : it->second;
}

}  // namespace engine

}  // namespace weir
