// Everything that a user may ask of a frame; for frames that may be broken.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <numeric>
#include <string>

#include "weir/weir.hpp"

namespace weir::test {

struct LargeValue {  // trivially copyable, too large for the descriptor
  std::array<double, 16> numbers;
};

inline void look_at(Frame frame) {
  const auto ask = [](auto&& question) {
    try {
      (void)question();
    } catch (const std::exception&) {
    }
  };
  ask([&] { return frame.count() + frame.metadata().size() + frame.is_shared(); });
  ask([&] {
    const auto items = frame.view<std::uint8_t>();
    return std::accumulate(items.begin(), items.end(), 0);
  });
  ask([&] {
    const auto bytes = frame.bytes();
    return std::accumulate(bytes.begin(), bytes.end(), 0, [](int sum, std::byte b) { return sum + int(b); });
  });
  ask([&] { return frame.value<std::int64_t>(); });
  ask([&] { return frame.value<std::string>(); });
  ask([&] { return frame.value<LargeValue>().numbers[0]; });
  ask([&] { return frame.data<std::uint8_t>().size(); });
  ask([&] {
    const std::string* text = frame.value_if<std::string>();
    return text ? text->size() : 0;
  });
}

}  // namespace weir::test
