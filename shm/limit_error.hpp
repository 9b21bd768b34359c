// Errors of system calls that a limit of this process may be the reason of, as messages say them.
#pragma once

#include <string>

namespace weir::shm {

/// Of a call that opens something or makes a file longer: what the error means, and where it is a limit, which.
[[nodiscard]] std::string file_error(int error);

/// The same, of a call that maps memory.
[[nodiscard]] std::string memory_error(int error);

/// The same, of a call that starts a thread or a process.
[[nodiscard]] std::string start_error(int error);

}  // namespace weir::shm
