#include "weir/type.hpp"

#include <cstdlib>
#include <memory>

#include <cxxabi.h>

#include "weir/error.hpp"

namespace weir {

std::string type_name(TypeId type) {
  constexpr const char* kTypeNames[] = {"no type", "bool", "i8",  "u8",  "i16", "u16", "i32",
                                        "u32",     "i64",  "u64", "f32", "f64", "c64", "c128"};
  const auto number = static_cast<std::uint32_t>(type);
  if (number < std::size(kTypeNames)) return kTypeNames[number];
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
