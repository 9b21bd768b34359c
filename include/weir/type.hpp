// What a payload is made of: type ids that mean the same in every process of one build, the spec that a pad
// keeps, and how a type of the user's own crosses to another process.
#pragma once

#include <array>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "weir/export.hpp"

namespace weir {

/// Identifies an item type. Built-in ones have small numbers; any other type has a hash of its name with the
/// top bit set, equal in all processes of one build (which attaching checks).
enum class TypeId : std::uint32_t {
  none = 0,
  boolean, i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, c64, c128,
};

namespace detail {

template <class T>
constexpr std::string_view raw_type_name() {
  return __PRETTY_FUNCTION__;
}

/// FNV-1a, 32 bit (http://www.isthe.com/chongo/tech/comp/fnv/).
constexpr std::uint32_t fnv1a(std::string_view text) {
  std::uint32_t hash = 2166136261u;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

template <class T>
constexpr TypeId builtin_type() {
  if constexpr (std::is_same_v<T, bool>) return TypeId::boolean;
  else if constexpr (std::is_integral_v<T>) {
    constexpr bool is_signed = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1) return is_signed ? TypeId::i8 : TypeId::u8;
    else if constexpr (sizeof(T) == 2) return is_signed ? TypeId::i16 : TypeId::u16;
    else if constexpr (sizeof(T) == 4) return is_signed ? TypeId::i32 : TypeId::u32;
    else return is_signed ? TypeId::i64 : TypeId::u64;
  } else if constexpr (std::is_same_v<T, float>) return TypeId::f32;
  else if constexpr (std::is_same_v<T, double>) return TypeId::f64;
  else if constexpr (std::is_same_v<T, std::complex<float>>) return TypeId::c64;
  else if constexpr (std::is_same_v<T, std::complex<double>>) return TypeId::c128;
  else return TypeId::none;
}

}  // namespace detail

/// The same for T and const T.
template <class T>
constexpr TypeId type_id() {
  if constexpr (std::is_const_v<T>) return type_id<std::remove_const_t<T>>();
  constexpr TypeId builtin = detail::builtin_type<T>();
  if constexpr (builtin != TypeId::none) return builtin;
  else return static_cast<TypeId>(detail::fnv1a(detail::raw_type_name<T>()) | 0x80000000u);
}

/// As TypeId and the parameters of elements spell it ("f32", "i64", …; "bool"); "type#9a3c…" for a type of the user's.
WEIR_API std::string type_name(TypeId type);
WEIR_API std::string demangle(const char* mangled);

/// What a pad's frames have in common; it may not change in mid-stream. A zero means "not said".
struct Spec {
  TypeId type = TypeId::none;
  std::uint32_t rate = 0;      ///< samples a second; also the unit of Frame::time (ticks of 1/rate s)
  std::uint16_t channels = 0;  ///< interleaved channels in a block
  bool operator==(const Spec&) const = default;
};
WEIR_API std::string to_string(const Spec& spec);

/// Types whose bytes are their value: they may lie in shared memory as they are.
template <class T>
concept Crossable = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>;

/// How a type that is not trivially copyable crosses to another process. Specialise with
///   static std::size_t bytes(const T&);                             // size of the encoding
///   static void encode(const T&, std::span<std::byte> out);         // exactly bytes(value)
///   static T decode(std::span<const std::byte> in);                 // throws on garbage
/// Only used where a frame leaves its process; within one it travels by pointer.
template <class T>
struct Codec;

template <class T>
concept HasCodec = requires(const T& value, std::span<std::byte> out, std::span<const std::byte> in) {
  { Codec<T>::bytes(value) } -> std::convertible_to<std::size_t>;
  Codec<T>::encode(value, out);
  { Codec<T>::decode(in) } -> std::same_as<T>;
};

template <Crossable T>
struct Codec<std::vector<T>> {
  static std::size_t bytes(const std::vector<T>& v) { return v.size() * sizeof(T); }
  static void encode(const std::vector<T>& v, std::span<std::byte> out) {
    if (!v.empty()) std::memcpy(out.data(), v.data(), out.size());
  }
  static std::vector<T> decode(std::span<const std::byte> in) {
    std::vector<T> v(in.size() / sizeof(T));
    if (!v.empty()) std::memcpy(v.data(), in.data(), v.size() * sizeof(T));
    return v;
  }
};

template <>
struct Codec<std::string> {
  static std::size_t bytes(const std::string& s) { return s.size(); }
  static void encode(const std::string& s, std::span<std::byte> out) {
    if (!s.empty()) std::memcpy(out.data(), s.data(), out.size());
  }
  static std::string decode(std::span<const std::byte> in) {
    return {reinterpret_cast<const char*>(in.data()), in.size()};
  }
};

}  // namespace weir
