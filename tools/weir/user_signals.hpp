// Ctrl+C while the command works: it ends runs in order and no file is left behind, so no signal of the
// user's may end the process itself. A closed terminal (SIGHUP) counts as a Ctrl+C.
#pragma once

#include <csignal>

#include <weir/parallelize.hpp>

namespace weir::tool {

/// One at a time; what was there before comes back with its end.
class UserSignals {
 public:
  UserSignals();
  ~UserSignals();
  UserSignals(const UserSignals&) = delete;
  UserSignals& operator=(const UserSignals&) = delete;

  /// How often the user has asked for an end.
  [[nodiscard]] static int count() noexcept { return SignalEOS::signals_received(); }

 private:
  SignalEOS counted_;  // lives longer than those of single runs, so that none is missed between two
  struct sigaction hangup_before_ {};
};

}  // namespace weir::tool
