// A small dictionary of named scalars and strings: frame metadata, worker_argdict, to_shm metadata.
// Not thread-safe; a value type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "weir/error.hpp"
#include "weir/export.hpp"

namespace weir {

using Value = std::variant<bool, std::int64_t, double, std::string>;

/// "true", "12", "0.5", "text": how a value reads in a message.
WEIR_API std::string to_string(const Value& value);

/// Insertion-ordered; look-up is linear, meant for a handful of entries.
class WEIR_API Dict {
 public:
  using Entry = std::pair<std::string, Value>;

  Dict() = default;
  Dict(std::initializer_list<Entry> entries) {
    for (const auto& [name, value] : entries) set(name, value);
  }

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] auto begin() const noexcept { return entries_.begin(); }
  [[nodiscard]] auto end() const noexcept { return entries_.end(); }
  [[nodiscard]] bool contains(std::string_view name) const noexcept { return find(name) != nullptr; }

  [[nodiscard]] const Value* find(std::string_view name) const noexcept;
  void set(std::string_view name, Value value);
  /// Integers of every width, floats and string literals find their alternative.
  template <class T>
    requires(!std::is_same_v<std::decay_t<T>, Value>)
  void set(std::string_view name, T&& value) {
    if constexpr (std::is_integral_v<std::decay_t<T>> && !std::is_same_v<std::decay_t<T>, bool>)
      if (static_cast<std::int64_t>(value) < 0 && value > 0) throw_range(name);
    set(name, make_value(std::forward<T>(value)));
  }
  void erase(std::string_view name);

  /// The value as T; an integer converts to a floating T. Throws ParameterError if missing or of another type.
  template <class T>
  [[nodiscard]] T get(std::string_view name) const {
    const Value* value = find(name);
    if (!value) throw_missing(name);
    if (auto converted = convert<T>(*value)) return *converted;
    throw_type(name, *value);
  }
  /// The same with a default where the entry is missing.
  template <class T>
  [[nodiscard]] T get(std::string_view name, T fallback) const {
    return contains(name) ? get<T>(name) : fallback;
  }

  bool operator==(const Dict&) const = default;

  /// Bytes for crossing to another process, and back. `decode` checks every length and throws Error on garbage.
  [[nodiscard]] std::vector<std::byte> encode() const;
  static Dict decode(std::span<const std::byte> bytes);

 private:
  template <class T>
  static Value make_value(T&& value) {
    using D = std::decay_t<T>;
    if constexpr (std::is_same_v<D, bool>) return Value(value);
    else if constexpr (std::is_integral_v<D>) return Value(static_cast<std::int64_t>(value));
    else if constexpr (std::is_floating_point_v<D>) return Value(static_cast<double>(value));
    else return Value(std::string(std::forward<T>(value)));
  }
  template <class T>
  static std::optional<T> convert(const Value& value) {
    if constexpr (std::is_same_v<T, bool>) {
      if (const auto* b = std::get_if<bool>(&value)) return *b;
    } else if constexpr (std::is_integral_v<T>) {
      if (const auto* i = std::get_if<std::int64_t>(&value)) {
        if (std::in_range<T>(*i)) return static_cast<T>(*i);
      }
    } else if constexpr (std::is_floating_point_v<T>) {
      if (const auto* d = std::get_if<double>(&value)) return static_cast<T>(*d);
      if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<T>(*i);
    } else {
      if (const auto* s = std::get_if<std::string>(&value)) return T(*s);
    }
    return std::nullopt;
  }
  [[noreturn]] static void throw_range(std::string_view name);
  [[noreturn]] static void throw_missing(std::string_view name);
  [[noreturn]] static void throw_type(std::string_view name, const Value& value);

  std::vector<Entry> entries_;
};

}  // namespace weir
