// `weir chaos`: runs a pipeline undisturbed, then under signals and garbage, and compares what comes out.
#pragma once

#include <cstdint>
#include <string>

#include "tools/weir/description.hpp"
#include "tools/weir/disturber.hpp"
#include "tools/weir/exit_code.hpp"
#include "tools/weir/run_once.hpp"

namespace weir::tool {

struct ChaosSettings {
  Disturbances wanted = {};
  std::uint64_t seed = 1;
  double seconds = 0;  ///< a run that is under way then is stopped, and none begins; 0: no bound
  RunSettings run = {};
};

struct ChaosResult {
  std::string text;  ///< the table
  ExitCode code = kOk;
};

/// Runs again and again until all that is wanted was done. Throws UsageError where a kill is wanted and no element may
/// be killed; PipelineProblems, DescriptionError.
ChaosResult chaos(Description description, const ChaosSettings& settings);

}  // namespace weir::tool
