// Labelled steps of the protocols that survive a death: of the journal, of a worker's attaching and its end, of the
// parent's start and stop. Tests have a process killed at each (journal_test, step_death_test, parent_death_test).
#pragma once

namespace weir::engine {

/// Called with the step's name before it; null but in tests. Not for the hot path of lanes that keep no journal.
inline void (*at_step)(const char* name) = nullptr;
inline void step(const char* name) {
  if (at_step) [[unlikely]] at_step(name);
}

}  // namespace weir::engine
