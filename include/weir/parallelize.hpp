// Parallelize: runs a pipeline. It starts the workers, turns the main lane, ends everything in order, and leaves
// nothing behind, whatever happens. Nothing runs before start() or run(), and nothing after the destructor.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/explain.hpp"
#include "weir/export.hpp"
#include "weir/memory_options.hpp"
#include "weir/pipeline.hpp"
#include "weir/report.hpp"

namespace weir {

/// Where a spawned worker process begins: the first line of main(). In the program itself it does nothing; in a
/// worker it runs the worker and does not return. Frames, rings and arguments come through the control block that
/// the parent passed on.
WEIR_API void worker_main(int argc, char** argv);

struct Options {
  std::optional<Mode> mode = {};  ///< of workers whose element says nothing; default: Parallelize::default_mode()
  /// First SIGINT or SIGTERM: the sources end and everything drains. Second: stop. Third: kill. The handlers are
  /// there from start() to the end of the run, and what was there before comes back last.
  bool handle_signals = false;
  /// What a stop (an error, a second signal) gives workers to come back from their polls. Then processes are
  /// killed and threads abandoned, and the report names them.
  std::chrono::nanoseconds stop_timeout = std::chrono::milliseconds(900);
  /// What a worker process may take to attach.
  std::chrono::nanoseconds start_timeout = std::chrono::seconds(20);
  /// Payload memory that each lane may lend at most, in bytes; committed as it is used. 0: a quarter of the memory.
  std::size_t arena_bytes = 0;
  HugePages huge_pages = HugePages::off;  ///< behind payload memory
  /// Bytes of each lane's payload memory that have pages before the first frame, so that none is a page fault later;
  /// kPrefaultAll: all of arena_bytes, which has to be given.
  std::size_t prefault = 0;
  /// Nothing of the run's shared memory is swapped out. RLIMIT_MEMLOCK has to allow for all that lanes may lend.
  bool mlock = false;
  Wait wait = Wait::adaptive;  ///< of lanes whose elements say nothing
  /// How much of one core all lanes together may spin in vain, 0 to 1, where they wait adaptively: beyond that they park
  /// at once. Each lane has an equal part. Nothing: as it pays, some 50 us a wait at most.
  std::optional<double> max_spin_cpu = {};
  /// On how many threads the workers in threads begin; 0: as many as the main lane leaves of the cores that the program
  /// may use; hyperthreads don't count, and the quota of the control group does. Workers next to each other share one.
  /// One whose polls prove to be long, or block, gets a thread of its own. A number as large as that of the workers
  /// gives each its own from the start. Workers that ask for CPUs or a way to wait (see ElementOptions) share with
  /// those that ask for the same; there is at least one thread for each kind.
  std::size_t threads = 0;
  /// The CPUs that the main lane's thread runs on; it gets its own back at the end of the run.
  Cpus main_cpu = {};
  /// 1…99: the main lane's thread is scheduled as SCHED_FIFO with this priority, until the end of the run. The start
  /// fails where that is not allowed; and where lanes that never sleep (Wait::spin, Wait::yield) would take real-time
  /// priority on all CPUs, which can hang the machine.
  int main_realtime = 0;
  /// The file for frames that kill their worker, of elements with restart that name none (ElementOptions::dead_letters).
  std::string dead_letters = {};
  bool measure_latency = false;  ///< stamps frames at sources and fills Report::latency; some 20 ns a frame
  /// The executable of worker processes; empty: this program, whose main() begins with worker_main.
  std::string worker_executable = {};
  /// Shared objects with elements that it loads first (for `weir-worker`, in hosts without that line).
  std::vector<std::string> worker_modules = {};
};

class WEIR_API Parallelize {
 public:
  explicit Parallelize(Pipeline& pipeline, Options options = {});
  /// Stops what still runs, as stop(stop_timeout) does, and forgets errors. In a callback on the main lane it does
  /// not wait: the run ends after the callback, and the pipeline's destructor waits for that.
  ~Parallelize();
  Parallelize(const Parallelize&) = delete;
  Parallelize& operator=(const Parallelize&) = delete;

  /// Mode of workers where neither element nor pipeline says: process, unless set. The reference's class default.
  static void set_default_mode(Mode mode) noexcept;
  [[nodiscard]] static Mode default_mode() noexcept;
  static void use_threading_default(bool threads) noexcept { set_default_mode(threads ? Mode::thread : Mode::process); }

  /// Shares a copy of the bytes, under a name, with every worker (`ctx.shm(name)`) and the caller. Before the run
  /// starts. Throws Error if the name exists, MemoryError if there is no room. Gone when this object is.
  SharedBlock to_shm(std::string_view name, std::span<const std::byte> bytes, Dict metadata = {});
  template <Crossable T>
  SharedBlock to_shm(std::string_view name, std::span<const T> items, Dict metadata = {}) {
    return to_shm(name, std::as_bytes(items), std::move(metadata));
  }

  /// Where everything would lie, and why, as a run would plan it now. Starts nothing. Throws GraphError, StartError.
  [[nodiscard]] Explanation explain() const;

  /// Runs to the end of all streams, the main lane on this thread. Throws the first error: GraphError, StartError,
  /// SpecError, PayloadError, WorkerError, WorkerCrashed, WorkerStuck, Deadlock; what else happened is in report().errors.
  void run();
  /// For embedding: starts the workers and a thread for the main lane, and returns. Throws GraphError, StartError.
  void start();
  /// Waits for the end of all streams. Throws as run() does. Called once after start().
  void wait();
  /// The same, for at most `timeout`; false if it still runs.
  bool wait_for(std::chrono::nanoseconds timeout);
  /// Ends everything without draining, and waits for it, no longer than `deadline`: workers leave after the poll they
  /// are in. Those that have not when a quarter of the time is left, at most 250 ms, are killed, and the rest is for
  /// that. From any thread; in a callback on the main lane it does not wait. Says what became of each element; true if
  /// the run has ended. What keeps it from ending then is an element on the main lane, or what the kernel has not torn
  /// down yet: its end is still to be waited for.
  StopReport stop(std::chrono::nanoseconds deadline);
  StopReport stop() { return stop(options_.stop_timeout); }
  /// Turns into EOS at the sources; everything drains and wait() or run() returns. From any thread.
  void end_of_stream() noexcept;
  [[nodiscard]] bool running() const noexcept;

  /// What the run did; after its end.
  [[nodiscard]] const Report& report() const;

  /// Delivered to sinks so far; for a progress display. From any thread.
  [[nodiscard]] std::uint64_t frames_so_far() const noexcept;

 private:
  Pipeline& pipeline_;
  Options options_;
  std::shared_ptr<engine::Run> run_;
};

/// The reference's SignalEOS: while it lives, SIGINT and SIGTERM are counted instead of ending the program, and
/// sources ask `signaled_eos()`. Nests; the last one gone restores what was there before.
class WEIR_API SignalEOS {
 public:
  SignalEOS();
  ~SignalEOS();
  SignalEOS(const SignalEOS&) = delete;
  SignalEOS& operator=(const SignalEOS&) = delete;
  /// Whether one of the two signals has come since the outermost SignalEOS began.
  [[nodiscard]] static bool signaled_eos() noexcept;
  [[nodiscard]] static int signals_received() noexcept;
};

}  // namespace weir
