#include "weir/type.hpp"

#include <cstdlib>
#include <memory>

#include <cxxabi.h>

#include "weir/error.hpp"

namespace weir {

std::string type_name(TypeId type) {
  constexpr const char* kNames[] = {"no type", "bool",   "int8",    "uint8",   "int16",     "uint16",    "int32",
                                    "uint32",  "int64",  "uint64",  "float32", "float64",   "complex64", "complex128"};
  const auto number = static_cast<std::uint32_t>(type);
  if (number < std::size(kNames)) return kNames[number];
  char text[24];
  std::snprintf(text, sizeof text, "type#%08x", number);
  return text;
}

std::string demangle(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(mangled, nullptr, nullptr, &status),
                                                         &std::free);
  return status == 0 && name ? name.get() : mangled;
}

std::string to_string(const Spec& spec) {
  std::string text = type_name(spec.type);
  if (spec.channels != 0) text += ", " + std::to_string(spec.channels) + (spec.channels == 1 ? " channel" : " channels");
  if (spec.rate != 0) text += ", " + std::to_string(spec.rate) + " Hz";
  return text;
}

}  // namespace weir
