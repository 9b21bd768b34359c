// The rows of the elements' parameter tables (weir/registry.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "weir/registry.hpp"

namespace weir::elements {

template <class T>
struct Range {
  std::optional<T> fallback = {};  ///< none: it has to be given
  std::optional<T> min = {}, max = {};
  const char* unit = "";
};

[[nodiscard]] Parameter integer(const char* name, const char* help, const Range<std::int64_t>& range);
[[nodiscard]] Parameter real(const char* name, const char* help, const Range<double>& range);
[[nodiscard]] Parameter boolean(const char* name, const char* help, bool fallback);
/// A null fallback: it has to be given. No choices: any text.
[[nodiscard]] Parameter text(const char* name, const char* help, const char* fallback = nullptr,
                             std::vector<std::string> choices = {});
/// A file to read or to write; "-" is a standard stream.
[[nodiscard]] Parameter input_file(const char* name, const char* help, const char* fallback = nullptr);
[[nodiscard]] Parameter output_file(const char* name, const char* help, const char* fallback = nullptr);

/// ElementType::check_restart of elements whose state can't be kept: no exactly_once.
void refuse_exactly_once(const Dict& parameters, Delivery delivery);

}  // namespace weir::elements
