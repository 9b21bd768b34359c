#include "engine/gap.hpp"

#include <algorithm>

#include "engine/pad_tally.hpp"
#include "weir/frame.hpp"

namespace weir::engine {

using detail::Descriptor;

std::optional<std::uint64_t> length_of(const Descriptor& d) noexcept {
  if (d.kind != detail::Payload::none || (d.flags & detail::kGap) == 0) return samples_of(d);
  if (detail::has_gap_extent(d) && (d.flags & detail::kGapLength) != 0) return d.gap.length;
  return std::nullopt;
}

std::uint64_t frames_in(const Descriptor& d) noexcept { return detail::has_gap_extent(d) ? d.gap.frames : 1; }

// Without the type: what hands gaps on may give another type of frames.
void add_to_gap(Descriptor& gap, const Descriptor& frame) noexcept {
  if (gap.flags == 0) {
    gap = {};
    gap.sequence = frame.sequence;
    gap.time = frame.time;
    gap.flags = detail::kGap | detail::kGapExtent | detail::kGapLength;
  }
  if (gap.rate == 0 && gap.channels == 0) gap.rate = frame.rate, gap.channels = frame.channels;
  gap.gap.frames += frames_in(frame);
  const auto length = length_of(frame);
  if (length) gap.gap.length += *length;
  else gap.flags = static_cast<std::uint8_t>(gap.flags & ~detail::kGapLength);
}

Descriptor only_gap(const Descriptor& gap) noexcept {
  Descriptor clean{};
  clean.sequence = gap.sequence;
  clean.time = gap.time;
  clean.rate = gap.rate;
  clean.channels = gap.channels;
  clean.flags = static_cast<std::uint8_t>(detail::kGap | detail::kGapExtent | (gap.flags & detail::kGapLength));
  clean.gap = gap.gap;
  return clean;
}

}  // namespace weir::engine

namespace weir {

std::optional<std::uint64_t> Frame::length() const noexcept { return engine::length_of(d_); }
std::uint64_t Frame::missing() const noexcept { return is_gap() ? engine::frames_in(d_) : 0; }

}  // namespace weir
