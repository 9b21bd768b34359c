// Labelled steps of the protocols that survive a death: of the journal, of a worker's attaching and its end, of the
// parent's start and stop. The tests in tests/faults have a process killed at each.
#pragma once

namespace weir::engine {

/// Called with the step's name before it; null but in tests. Not for the hot path of lanes that keep no journal.
inline void (*at_step)(const char* name) = nullptr;
inline void step(const char* name) {
  if (at_step) [[unlikely]] at_step(name);
}

}  // namespace weir::engine
