// Restart: what becomes of a worker whose process dies.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "weir/export.hpp"

namespace weir {

/// Whether another process takes the place of a worker's that has died. The new one goes on where the last polls that
/// took effect have ended: no frame is lost, doubled or out of order, and the worker's state (WorkerContext::state) is
/// as it was then. What a poll does outside the pipeline may be done again.
enum class Restart : std::uint8_t {
  never,       ///< the run fails with WorkerCrashed
  on_failure,  ///< killed by a signal, exited with a status, or left its poll by an exception
  always,      ///< also where it called exit(0)
};
WEIR_API std::string_view to_string(Restart restart) noexcept;
WEIR_API std::optional<Restart> restart_from(std::string_view text) noexcept;

}  // namespace weir
