// StopReport: what became of each element of a run that was told to end. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weir/export.hpp"

namespace weir {

/// How an element left a run.
enum class Ending : std::uint8_t {
  ended,      ///< its stream was over, by itself: it gave its end of stream, or took it where it is a sink
  stopped,    ///< when it was told to, or when nobody took its frames any more
  killed,     ///< its process did not leave by the deadline
  abandoned,  ///< its thread did not leave by the deadline, and goes on as long as its poll does
  failed,     ///< it died, or an exception left it
  running,    ///< not yet
};
WEIR_API std::string_view to_string(Ending ending) noexcept;

struct ElementStop {
  std::string element;
  Ending ending = Ending::running;
  /// Frames that it took after the end was asked for. A consumer in another lane says what it took each quarter of its
  /// queue, and when it waits: what it had taken but not said counts here. Inside a lane, 0.
  std::uint64_t drained = 0;
  /// Frames that were given to it and that it never took: those left in its queues, or dropped as it had gone.
  std::uint64_t discarded = 0;
  /// Where it was stuck, if it did not leave by the deadline.
  std::string where;
};

/// For each link that joins two lanes: what was queued when the end was asked for, and what was put since, is drained or
/// discarded.
struct StopReport {
  bool over = false;   ///< the run has ended
  double seconds = 0;  ///< since the end was asked for
  std::vector<ElementStop> elements;  ///< in the pipeline's order
  [[nodiscard]] explicit operator bool() const noexcept { return over; }
};

}  // namespace weir
