// Event: a flag that any thread or process of the pipeline may set, clear and wait for. The word lies where all
// of them see it; waiting parks on it as a futex. Setting one also wakes the lane it is for.
#pragma once

#include <chrono>

#include "weir/export.hpp"

namespace weir {

namespace detail {
struct EventWord;
}

/// A handle; copies mean the same flag. Valid while the run that made it lives. Thread-safe.
class WEIR_API Event {
 public:
  Event() = default;
  explicit Event(detail::EventWord* word) : word_(word) {}

  void set() noexcept;
  void clear() noexcept;
  [[nodiscard]] bool is_set() const noexcept;
  /// Waits until it is set or the time is over; returns whether it is set.
  bool wait(std::chrono::nanoseconds timeout) const noexcept;

 private:
  detail::EventWord* word_ = nullptr;  ///< null (before a run): never set, set() does nothing
};

}  // namespace weir
