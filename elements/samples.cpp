#include "elements/samples.hpp"

#include <fmt/format.h>

namespace weir::elements {
namespace {

void check(const Frame& frame) {
  if (!frame.has_data()) return;
  if (frame.type() != TypeId::f32)
    throw PayloadError(
        fmt::format("it takes blocks of f32 samples; this frame has {}: put a convert before it",
                    type_name(frame.type())));
  if (frame.count() % channels_of(frame) != 0)
    throw PayloadError(
        fmt::format("a frame of {} channels has {} samples, which is not the same number for each",
                    channels_of(frame), frame.count()));
}

}  // namespace

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

}  // namespace weir::elements
