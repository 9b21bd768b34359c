// Removes directories when this process is over, however it ends: by a signal, a crash or kill -9, too.
#pragma once

#include <filesystem>
#include <vector>

#include <sys/types.h>

namespace weir::tool {

/// A child that waits for this process to end. Made by fork, so while this process has one thread only.
class Janitor {
 public:
  /// Throws std::runtime_error.
  explicit Janitor(const std::vector<std::filesystem::path>& directories);
  /// Has them removed now, and waits for it.
  ~Janitor();
  Janitor(const Janitor&) = delete;
  Janitor& operator=(const Janitor&) = delete;

 private:
  pid_t child_ = -1;
  int alive_ = -1;  ///< the end of a pipe that is closed with this process, by the kernel if need be
};

}  // namespace weir::tool
