// Sandbox: what a worker's process may do beside its work.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "weir/export.hpp"

namespace weir {

/// docs/faults.md lists what a worker may still do.
enum class Sandbox : std::uint8_t {
  none,    ///< whatever the program may
  /// Take, compute and give frames, and read the files that ElementOptions::sandbox_reads names. Anything else that
  /// reaches outside its process fails with EPERM and is in the report. The run does not start where that can't be had.
  strict,
};
WEIR_API std::string_view to_string(Sandbox sandbox) noexcept;
WEIR_API std::optional<Sandbox> sandbox_from(std::string_view text) noexcept;

}  // namespace weir
