// Flat encoding of start-up data: numbers, texts and lists, one after the other. Reading checks every length and
// throws; nothing of this is on the path of a frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "weir/error.hpp"

namespace weir::engine {

class WireWriter {
 public:
  template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(const T& number) {
    const auto* p = reinterpret_cast<const std::byte*>(&number);
    bytes_.insert(bytes_.end(), p, p + sizeof(T));
  }
  void operator()(const std::string& text) {
    (*this)(static_cast<std::uint32_t>(text.size()));
    const auto* p = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), p, p + text.size());
  }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class WireReader {
 public:
  explicit WireReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void operator()(T& number) {
    std::memcpy(&number, need(sizeof(T)).data(), sizeof(T));
  }
  void operator()(bool& flag) {
    std::uint8_t byte = 0;
    (*this)(byte);
    flag = byte != 0;
  }
  void operator()(std::string& text) {
    std::uint32_t size = 0;
    (*this)(size);
    const auto part = need(size);
    text.assign(reinterpret_cast<const char*>(part.data()), part.size());
  }
  [[nodiscard]] std::size_t left() const noexcept { return bytes_.size(); }

 private:
  std::span<const std::byte> need(std::size_t n) {
    if (n > bytes_.size())
      throw Error("encoded data ends early: needs " + std::to_string(n) + " bytes more, has " +
                  std::to_string(bytes_.size()));
    const auto part = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return part;
  }
  std::span<const std::byte> bytes_;
};

}  // namespace weir::engine
