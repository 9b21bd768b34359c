#include "engine/pad_tally.hpp"

#include "weir/error.hpp"
#include "weir/type.hpp"

namespace weir::engine {

using detail::Descriptor;
using detail::Payload;

std::uint64_t samples_of(const Descriptor& d) noexcept {
  if (d.kind < Payload::block) return d.kind == Payload::scalar;
  if (d.kind == Payload::object || (d.flags & detail::kEncoded)) return 1;
  return d.channels > 1 ? d.block.count / d.channels : d.block.count;
}

void PadTally::count(const Descriptor& d, const std::string& pad, bool looked_at) {
  ++frames_;
  more_samples_ += samples_of(d) - 1;
  if (d.type != 0) check_spec(d, pad);
  if (!looked_at || d.kind != Payload::scalar || !detail::is_plain(d)) return;
  everyday_shape_ = detail::shape_of(d);
  everyday_type_ = d.type;
}

void PadTally::check_spec(const Descriptor& d, const std::string& pad) {
  const std::uint64_t spec = static_cast<std::uint64_t>(d.type) << 32 | d.rate;
  if (spec == spec_ && d.channels == channels_) return;
  if (spec_ == 0 && channels_ == 0) {
    spec_ = spec;
    channels_ = d.channels;
    return;
  }
  const Spec first{static_cast<TypeId>(spec_ >> 32), static_cast<std::uint32_t>(spec_), channels_};
  const Spec now{static_cast<TypeId>(d.type), d.rate, d.channels};
  throw SpecError("frame " + std::to_string(frames_) + " received by '" + pad +
                  "' is inconsistent with those before: it has " + to_string(now) + ", they had " + to_string(first) +
                  "; a pad keeps its spec for a whole stream");
}

}  // namespace weir::engine
