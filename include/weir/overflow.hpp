// Overflow: what becomes of frames that find a queue full.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "weir/export.hpp"

namespace weir {

/// What a link does with a frame that finds no room. But for `block`, the producer never waits for such a link.
///
/// What is dropped leaves a gap in its place: a frame with is_gap() and without data, whose time and sequence are those
/// of the first frame that is missing; `length()` says for how many items a channel it stands and `missing()` for how
/// many frames. One gap stands for all that was dropped in a row. It takes no room in the queue, comes just before the
/// frame that follows it, and is counted in the ledger beside frames (LinkReport::gaps). Metadata of what is dropped is
/// lost. An end of stream is never dropped, nor is anything to make room for it.
enum class Overflow : std::uint8_t {
  block,        ///< the producer waits; nothing is dropped
  drop_oldest,  ///< what has waited longest makes room
  drop_newest,  ///< the frame itself is dropped
  latest,       ///< whatever waits makes room: the consumer gets the newest there is
  fail,         ///< the run ends with an error that names both pads
};
inline constexpr std::array kOverflows{Overflow::block, Overflow::drop_oldest, Overflow::drop_newest, Overflow::latest,
                                       Overflow::fail};
WEIR_API std::string_view to_string(Overflow overflow) noexcept;
WEIR_API std::optional<Overflow> overflow_from(std::string_view text) noexcept;

}  // namespace weir
