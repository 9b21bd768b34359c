// Gaps that say what they stand for: what is left of frames that were dropped.
#pragma once

#include <cstdint>
#include <optional>

#include "weir/detail/block.hpp"

namespace weir::engine {

/// Items per channel that a frame has, or stands for; nothing for a gap that does not say.
[[nodiscard]] std::optional<std::uint64_t> length_of(const detail::Descriptor& frame) noexcept;
/// Frames that it stands for, itself if it is none of several.
[[nodiscard]] std::uint64_t frames_in(const detail::Descriptor& frame) noexcept;

/// Adds what a frame, or a gap, stands for to a gap that comes right before it. The gap may be all zero: none yet. Once
/// a length is not known, that of the sum is not.
void add_to_gap(detail::Descriptor& gap, const detail::Descriptor& frame) noexcept;

/// The gap without anything that it should not have: it may come from memory that others write to.
[[nodiscard]] detail::Descriptor only_gap(const detail::Descriptor& gap) noexcept;

}  // namespace weir::engine
