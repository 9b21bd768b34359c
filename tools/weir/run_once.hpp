// One run of a pipeline, watched for the user.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <weir/parallelize.hpp>

#include "tools/weir/description.hpp"

namespace weir::tool {

struct RunSettings {
  double seconds = 0;         ///< it is stopped if it takes longer; 0: no bound
  bool stop_at_once = false;  ///< the first Ctrl+C stops it, so that no output looks whole
  bool show_progress = false;
};

/// What the user's signals did to a run.
enum class Interruption {
  none,
  drained,  ///< one: the sources ended, all that was under way was finished
  stopped,  ///< more: the rest was left
};
const char* to_string(Interruption interruption) noexcept;

struct RunRecord {
  Mode mode = Mode::process;  ///< of workers whose element says nothing
  int round = 1;
  std::optional<Report> report = {};     ///< none if the run could not start
  std::vector<std::string> errors = {};  ///< as they are told to people
  Interruption interruption = Interruption::none;
  bool out_of_time = false;  ///< it was stopped, as it took longer than it may

  /// It ran to the end of all streams, and the user had nothing against it.
  [[nodiscard]] bool ok() const noexcept { return errors.empty() && interruption == Interruption::none; }
  /// A worker's thread did not come back and is still there: the process must not tidy up under it.
  [[nodiscard]] bool has_abandoned_thread() const noexcept;
};

/// Builds the pipeline and runs it. Throws PipelineProblems; all else is in the record. Where the run does not end by
/// the user's third signal, as what is on the main lane can't be killed, it ends the program with kStopped.
RunRecord run_once(const Description& description, const RunSettings& settings, Mode mode, int round,
                   const std::string& label);

}  // namespace weir::tool
