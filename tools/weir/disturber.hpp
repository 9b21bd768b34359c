// Does to the worker processes of a running pipeline what a bad day does: kills them, stops them for a while, writes
// garbage over their memory.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "tools/weir/draws.hpp"

namespace weir::tool {

struct Disturbances {
  std::uint64_t kills = 0;    ///< SIGKILL, to those that may be killed
  std::uint64_t stops = 0;    ///< SIGSTOP, and SIGCONT up to 20 ms later, to any
  std::uint64_t garbage = 0;  ///< garbage over the shared memory of one, which is killed a second later if it lives
  [[nodiscard]] std::uint64_t all() const noexcept { return kills + stops + garbage; }
};

/// A worker process of this program.
struct WorkerProcess {
  pid_t pid = 0;
  std::string element;
};
std::vector<WorkerProcess> worker_processes();

/// From its construction to its end, or to finish(), at random moments; what, when and to whom is drawn from the seed.
class Disturber {
 public:
  /// At most `wanted`. Only elements named in `mortal` are killed.
  Disturber(std::uint64_t seed, Disturbances wanted, std::vector<std::string> mortal);
  ~Disturber() { finish(); }
  Disturber(const Disturber&) = delete;
  Disturber& operator=(const Disturber&) = delete;

  void finish();
  // After finish():
  [[nodiscard]] const Disturbances& done() const noexcept { return done_; }
  /// From each SIGKILL until the pipeline had collected the process, in seconds.
  [[nodiscard]] const std::vector<double>& detected() const noexcept { return detected_; }
  struct Kill {
    pid_t pid;
    std::chrono::steady_clock::time_point time;
  };
  [[nodiscard]] const std::vector<Kill>& kills() const noexcept { return kills_; }

 private:
  void disturb();
  bool sleep(double seconds);
  [[nodiscard]] const WorkerProcess* choose(const std::vector<WorkerProcess>& workers, std::uint64_t drawn,
                                            bool mortal_only) const;
  void kill(const WorkerProcess& worker);
  void stop(const WorkerProcess& worker, double seconds);
  void scribble(const WorkerProcess& worker, std::uint64_t seed);

  Draws draws_;
  Disturbances wanted_, done_;
  std::vector<std::string> mortal_;
  std::vector<double> detected_;
  std::vector<Kill> kills_;
  std::atomic<bool> finished_{false};
  std::thread thread_;  // the last: it uses the others
};

}  // namespace weir::tool
