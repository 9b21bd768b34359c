// Runs weir's own pipelines for the rows: each function is one run, in the calling process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <weir/weir.hpp>

#include "bench/isolate.hpp"
#include "bench/settings.hpp"

namespace weir::bench {

/// For worker processes the lean program beside this one.
[[nodiscard]] Options run_options(Mode mode, Wait wait = Wait::adaptive);

/// Runs it to its end; the shared figures as its elements left them. Throws RunFailed if frames are missing
/// in the ledger.
[[nodiscard]] Figures run_with_figures(Pipeline& pipeline, const Options& options, std::size_t figures,
                                       Report* report = nullptr);

/// source → `stages` → sink, 64-byte frames. `groups`: lanes for source and first stages, and so on, in equal
/// parts; 0: the engine places them.
struct Chain {
  std::int64_t count = 0;
  int stages = 4;
  int groups = 0;
  std::size_t capacity = kCapacity;
  Restart restart = Restart::never;  ///< of the stages
};
/// ns a frame.
[[nodiscard]] double run_chain(const Chain& chain, Mode mode);

/// RoundTrips::figures() of single frames through a worker and back, both sides spinning.
struct HopRun {
  std::int64_t count = 0;
  std::size_t bytes = 0;  ///< 0: a scalar in the frame
  bool touch = false;     ///< blocks are written at the source and read in the worker
  Wait wait = Wait::spin;
  Restart restart = Restart::never;  ///< of the worker
};
[[nodiscard]] Figures run_hop(const HopRun& hop, Mode mode, const Settings& settings);
/// ns of a hop with an untouched block of each size; the sizes take turns in one run.
[[nodiscard]] Figures run_hops_in_turn(std::int64_t turns, const std::vector<std::size_t>& sizes, Mode mode,
                                       const Settings& settings);

}  // namespace weir::bench
