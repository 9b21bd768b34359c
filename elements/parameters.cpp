#include "elements/parameters.hpp"

#include <utility>

namespace weir::elements {
namespace {

template <class T>
Parameter number(const char* name, const char* help, ParameterType type, const Range<T>& range) {
  Parameter parameter{.name = name, .type = type, .help = help, .unit = range.unit};
  if (range.fallback) parameter.fallback.emplace(std::in_place_type<T>, *range.fallback);
  if (range.min) parameter.min = static_cast<double>(*range.min);
  if (range.max) parameter.max = static_cast<double>(*range.max);
  return parameter;
}

}  // namespace

Parameter integer(const char* name, const char* help, const Range<std::int64_t>& range) {
  return number(name, help, ParameterType::integer, range);
}

Parameter real(const char* name, const char* help, const Range<double>& range) {
  return number(name, help, ParameterType::real, range);
}

Parameter boolean(const char* name, const char* help, bool fallback) {
  Parameter parameter{.name = name, .type = ParameterType::boolean, .help = help};
  parameter.fallback.emplace(std::in_place_type<bool>, fallback);
  return parameter;
}

Parameter text(const char* name, const char* help, const char* fallback, std::vector<std::string> choices) {
  Parameter parameter{.name = name, .type = ParameterType::text, .help = help, .choices = std::move(choices)};
  if (fallback) parameter.fallback.emplace(std::in_place_type<std::string>, fallback);
  return parameter;
}

Parameter input_file(const char* name, const char* help, const char* fallback) {
  Parameter parameter = text(name, help, fallback);
  parameter.path = PathUse::reads;
  return parameter;
}

Parameter output_file(const char* name, const char* help, const char* fallback) {
  Parameter parameter = text(name, help, fallback);
  parameter.path = PathUse::writes;
  return parameter;
}

void refuse_exactly_once(const Dict&, Delivery delivery) {
  if (delivery == Delivery::exactly_once)
    throw ParameterError("its worker can't be restarted exactly once, as another process can't have its state; say "
                         "delivery=at_least_once, with which it begins anew, or leave restart= out");
}

}  // namespace weir::elements
