// Payloads of every kind, and frames of them; for the tests of frames.
#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

#include "sanitizers.hpp"
#include "weir/weir.hpp"

#if WEIR_SANITIZED
// What is far too large is refused by weir's own error, not by the sanitizer's.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
#endif

namespace frame_test {

/// Says how many of it there are.
struct Counted {
  explicit Counted(int number) : n(number) { ++alive; }
  Counted(const Counted& other) : n(other.n) { ++alive, ++copied; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --alive; }
  int n;
  static inline std::atomic<int> alive = 0, copied = 0;
};

struct Point {  // trivially copyable, and small enough to lie in the descriptor
  double x, y;
  bool operator==(const Point&) const = default;
};
struct Matrix {  // trivially copyable, too large for the descriptor
  std::array<double, 16> m;
  bool operator==(const Matrix&) const = default;
};
struct alignas(32) Wide {  // small, but of an alignment that a descriptor does not give
  std::uint64_t n;
};
struct Named {  // crosses by a Codec of its own
  std::string name;
  int number = 0;
};
struct Handle {  // can't cross
  std::unique_ptr<int> p;
};

}  // namespace frame_test

template <>
struct weir::Codec<frame_test::Named> {
  static std::size_t bytes(const frame_test::Named& v) { return sizeof v.number + v.name.size(); }
  static void encode(const frame_test::Named& v, std::span<std::byte> out) {
    std::memcpy(out.data(), &v.number, sizeof v.number);
    std::memcpy(out.data() + sizeof v.number, v.name.data(), v.name.size());
  }
  static frame_test::Named decode(std::span<const std::byte> in) {
    frame_test::Named v;
    if (in.size() < sizeof v.number) throw std::runtime_error("too short for a Named");
    std::memcpy(&v.number, in.data(), sizeof v.number);
    v.name.assign(reinterpret_cast<const char*>(in.data()) + sizeof v.number, in.size() - sizeof v.number);
    return v;
  }
};

namespace frame_test {

inline weir::detail::Payload kind_of(const weir::Frame& frame) { return weir::detail::FrameAccess::descriptor(frame).kind; }

template <class T>
weir::Frame block_of(std::initializer_list<T> items, const weir::FrameOptions& options = {}) {
  return weir::Frame::copy_of<T>(std::span(items.begin(), items.size()), options);
}

template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
inline std::string raw_bytes_of(const weir::Frame& frame) {
  const auto bytes = frame.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace frame_test
