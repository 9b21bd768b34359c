// What the command's exit status says.
#pragma once

namespace weir::tool {

enum ExitCode : int {
  kOk = 0,          ///< also after a Ctrl+C where everything drained
  kFailed = 1,      ///< an element failed, a worker died, a report could not be written
  kUsage = 2,       ///< wrong arguments, or a pipeline that is wrong
  kDiffers = 3,     ///< --compare: threads and processes gave different bytes
  kUnbalanced = 4,  ///< frames are missing in the ledger
  kStopped = 130,   ///< a second Ctrl+C stopped the run; a first one cut a --compare or --repeat short
};

inline constexpr const char* kExitCodes =
    "Exit status:\n"
    "    0  done; also if Ctrl+C (SIGINT, SIGTERM) ended the sources and all else was finished\n"
    "    1  the run failed, or its report could not be written\n"
    "    2  wrong arguments, or something is wrong with the pipeline\n"
    "    3  --compare: the outputs of threads and processes differ\n"
    "    4  the ledger of frames does not balance\n"
    "  130  stopped by a second Ctrl+C; or --compare or --repeat cut short by the first\n";

}  // namespace weir::tool
