#include "elements/samples.hpp"

#include <fmt/format.h>

#include <complex>
#include <cstdint>
#include <iterator>

namespace weir::elements {
namespace {

void check(const Frame& frame) {
  if (!frame.has_data()) return;
  if (frame.type() != TypeId::f32)
    throw PayloadError(
        fmt::format("it takes blocks of f32 samples, as wav_source gives them; this frame has {}",
                    short_name(frame.type())));
  if (frame.count() % channels_of(frame) != 0)
    throw PayloadError(
        fmt::format("a frame of {} channels has {} samples, which is not the same number for each",
                    channels_of(frame), frame.count()));
}

}  // namespace

std::string short_name(TypeId type) {
  constexpr const char* kNames[]{"no type", "bool", "i8",  "u8",  "i16", "u16", "i32",
                                 "u32",     "i64",  "u64", "f32", "f64", "c64", "c128"};
  const auto number = static_cast<std::size_t>(type);
  return number < std::size(kNames) ? kNames[number] : type_name(type);
}

std::span<const float> samples_of(const Frame& frame) {
  check(frame);
  return frame.view<float>();
}

std::span<float> samples_of(Frame& frame) {
  check(frame);
  return frame.data<float>();
}

double rate_of(const Frame& frame) {
  if (frame.rate() != 0) return frame.rate();
  throw Error("its samples come without a rate, which frequencies are counted by; set rate= at the source");
}

std::span<const std::byte> bytes_of(const Frame& frame) {
  if (!frame.has_data()) return {};
  const auto as = [&]<class T>(T) { return std::as_bytes(frame.view<T>()); };
  switch (frame.type()) {
    case TypeId::none:
      break;
    case TypeId::boolean:
      return as(false);
    case TypeId::i8:
      return as(std::int8_t{});
    case TypeId::u8:
      return as(std::uint8_t{});
    case TypeId::i16:
      return as(std::int16_t{});
    case TypeId::u16:
      return as(std::uint16_t{});
    case TypeId::i32:
      return as(std::int32_t{});
    case TypeId::u32:
      return as(std::uint32_t{});
    case TypeId::i64:
      return as(std::int64_t{});
    case TypeId::u64:
      return as(std::uint64_t{});
    case TypeId::f32:
      return as(float{});
    case TypeId::f64:
      return as(double{});
    case TypeId::c64:
      return as(std::complex<float>{});
    case TypeId::c128:
      return as(std::complex<double>{});
  }
  throw PayloadError(
      fmt::format("it takes numbers and blocks of numbers; this frame has {}: turn it into one of them "
                  "in an element before",
                  short_name(frame.type())));
}

}  // namespace weir::elements
