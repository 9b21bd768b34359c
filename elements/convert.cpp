// convert: samples of one type as samples of another, scaled so that full scale stays full scale.
//
// A float is at full scale at 1. A signed integer of n bits is at 2^(n-1), so its highest value is just
// below; u8 has its zero at 128, as in WAV files. What an integer can't hold is clipped; what lies between
// two integers goes to the nearer one, halves to the even one. Integers become wider ones and come back
// unchanged.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "elements/parameters.hpp"
#include "elements/quantise.hpp"
#include "weir/weir.hpp"

namespace weir::elements {
namespace {

template <class T>
constexpr double kZero = std::is_unsigned_v<T> ? 128 : 0;  // u8 is the only one
template <class T>
constexpr double kFullScale = std::is_floating_point_v<T> ? 1
                              : std::is_unsigned_v<T>     ? kZero<T>
                                                      : -static_cast<double>(std::numeric_limits<T>::min());

// Every type here fits into a double, so this is where rounding happens, and only here.
template <class Out>
Out sample_of(double value) noexcept {
  if constexpr (std::is_floating_point_v<Out>)
    return static_cast<Out>(value);
  else
    return static_cast<Out>(quantised(value, kFullScale<Out>) + kZero<Out>);
}

template <class In, class Out>
Frame as(const Frame& frame) {
  const auto in = frame.view<In>();
  Frame converted = Frame::loan_like<Out>(frame, in.size());
  std::transform(in.begin(), in.end(), converted.data<Out>().begin(), [](In sample) {
    return sample_of<Out>((static_cast<double>(sample) - kZero<In>) / kFullScale<In>);
  });
  return converted;
}

template <class Out>
Frame to(Frame frame) {
  if (!frame.has_data() || frame.type() == type_id<Out>()) return frame;
  switch (frame.type()) {
    case TypeId::u8:
      return as<std::uint8_t, Out>(frame);
    case TypeId::i16:
      return as<std::int16_t, Out>(frame);
    case TypeId::i32:
      return as<std::int32_t, Out>(frame);
    case TypeId::f32:
      return as<float, Out>(frame);
    case TypeId::f64:
      return as<double, Out>(frame);
    default:
      throw PayloadError(fmt::format("it takes samples of u8, i16, i32, f32 or f64; this frame has {}",
                                     type_name(frame.type())));
  }
}

using Conversion = Frame (*)(Frame);
constexpr std::pair<const char*, Conversion> kConversions[]{{"u8", to<std::uint8_t>},
                                                            {"i16", to<std::int16_t>},
                                                            {"i32", to<std::int32_t>},
                                                            {"f32", to<float>},
                                                            {"f64", to<double>}};

/// Made by each process: a function lies elsewhere in each.
struct Target {
  explicit Target(const WorkerContext& ctx) {
    const auto name = ctx.arg<std::string>("sample");
    for (const auto& [sample, conversion] : kConversions)
      if (name == sample) convert = conversion;
  }
  Conversion convert = nullptr;
};

}  // namespace

class Convert : public ParallelizeTransformElement {
 public:
  using ParallelizeTransformElement::ParallelizeTransformElement;
  [[nodiscard]] std::optional<double> frame_rate(const SourcePad&) const override { return frame_rate_of_input(); }
  [[nodiscard]] std::optional<FrameNeed> frames_needed(const SourcePad&) const override { return FrameNeed{}; }
  static void sub_process_internal(WorkerContext& ctx) {
    if (auto frame = ctx.inq().get()) ctx.outq().put(ctx.local<Target>(ctx).convert(std::move(*frame)));
  }
};

WEIR_WORKER(weir::elements::Convert);
WEIR_ELEMENT(Convert,
             {.name = "convert",
              .summary = "turns samples into another type; full scale of an integer is 1 of a float",
              .sink_pads = {"in"},
              .source_pads = {"out"},
              .parameters = {text("sample",
                                  "type of the samples that it gives; integers are rounded and clipped",
                                  "f32", {"u8", "i16", "i32", "f32", "f64"})}});

}  // namespace weir::elements
