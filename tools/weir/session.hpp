// What `weir run` did: one run, several, or threads and processes in turn; and what came out of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/weir/description.hpp"
#include "tools/weir/exit_code.hpp"
#include "tools/weir/run_once.hpp"
#include "tools/weir/twin_outputs.hpp"

namespace weir::tool {

struct SessionOptions {
  Mode mode = Mode::process;
  bool compare = false;
  int rounds = 1;
  RunSettings run = {};
};

struct Session {
  std::string pipeline;  ///< as the user gave it: the text, or the file's name
  SessionOptions options;
  Description description;                  ///< with what --set made of it
  std::vector<RunRecord> runs = {};         ///< in their order
  std::vector<OutputVerdict> outputs = {};  ///< of a comparison: the first difference of all rounds
  std::vector<std::string> errors = {};     ///< beside those of the runs
  bool complete = false;                    ///< all rounds ran

  [[nodiscard]] ExitCode exit_code() const noexcept;
  [[nodiscard]] bool balances() const noexcept;
  [[nodiscard]] bool identical() const noexcept;
  /// "ok", "failed", "stopped", "unbalanced" or "differs"
  [[nodiscard]] const char* status() const noexcept;
};

/// Says what would be refused before the first run: throws PipelineProblems, DescriptionError and UsageError. Returns
/// warnings, such as queues that can be seen to be too small.
std::vector<std::string> check(const Session& session);

/// Runs it all, until something fails or the user interrupts. Throws what check() does, before the
/// first run.
void run(Session& session);

/// One quantity of a run, as reports show it.
struct Measure {
  enum class Kind { seconds, rate };
  const char* key;    ///< in JSON
  const char* label;  ///< in a table
  Kind kind;
  std::optional<double> (*of)(const Report&);  ///< nothing where it was not measured
};
const std::vector<Measure>& measures();

/// Of a quantity in several runs.
struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
/// Nothing if no run of this mode has it.
std::optional<Spread> spread_of(const Session& session, Mode mode, const Measure& measure);

/// Processes to threads, by their medians.
std::optional<double> ratio_of(const Session& session, const Measure& measure);

/// The modes that ran, in the order of columns: thread, process; or the only one.
std::vector<Mode> modes_of(const SessionOptions& options);

}  // namespace weir::tool
