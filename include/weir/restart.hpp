// Restart: what becomes of a worker whose process dies.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "weir/export.hpp"

namespace weir {

/// Whether another process takes the place of a worker's that has died. The new one goes on where the last polls that
/// took effect have ended. Delivery says what that means for the frames that it had taken and for its state
/// (WorkerContext::state). What a poll does outside the pipeline may be done again: see WorkerContext::on_commit.
enum class Restart : std::uint8_t {
  never,       ///< the run fails with WorkerCrashed
  on_failure,  ///< killed by a signal, exited with a status, or left its poll by an exception
  always,      ///< also where it called exit(0)
};
WEIR_API std::string_view to_string(Restart restart) noexcept;
WEIR_API std::optional<Restart> restart_from(std::string_view text) noexcept;

/// What becomes of the frames that a worker had taken, and had not done with, when its process died; where another takes
/// its place. In all three, what a poll puts reaches the neighbours when the poll is over, or not at all.
enum class Delivery : std::uint8_t {
  exactly_once,   ///< taken again; the state is as it was, so nobody can tell that the process died
  at_least_once,  ///< taken again, but the state may be any object: one that can't be kept begins anew
  at_most_once,   ///< never taken again: they are lost, and counted as lost. The state may be any object, too
};
WEIR_API std::string_view to_string(Delivery delivery) noexcept;
WEIR_API std::optional<Delivery> delivery_from(std::string_view text) noexcept;

}  // namespace weir
