// Run: one run of a pipeline, from start to end. It owns the plan, the memory and the lanes; its supervisor thread
// spawns worker processes, watches them through their pidfds, and sees to deadlines and signals.
//
//   created → start() → running → the main lane has finished, all sinks have ended → all lanes have ended → over
//                          └ error, stop() → lanes are told to leave → deadline → what has not left is killed ┘
//
// Threads: the main lane's (the caller of run(), or one of its own), the supervisor's, one per thread lane.
// The public functions may be called from any thread unless they say otherwise.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>

#include "engine/control.hpp"
#include "engine/crew.hpp"
#include "engine/island.hpp"
#include "engine/lane.hpp"
#include "engine/memory.hpp"
#include "engine/plan.hpp"
#include "engine/spawn.hpp"
#include "engine/worker.hpp"
#include "engine/wait_graph.hpp"
#include "weir/parallelize.hpp"

namespace weir::engine {

/// What outlives single runs of a pipeline: the bell of its main lane, which host threads may ring at any time,
/// and memory of runs in which elements still hold frames.
struct PipelineMemory {
  PipelineMemory();
  ~PipelineMemory();  ///< arenas in which frames outside the pipeline still have a share stay until they have none
  shm::Segment main_bell;
  shm::Doorbell doorbell;  ///< fences, so that it fits every kind of run
  std::vector<std::shared_ptr<Memory>> kept;
  std::atomic<bool> in_use{false};  ///< by a run; its elements have room for the wiring of one
  std::atomic<bool> left_alone{false};  ///< that run's Parallelize is gone: the pipeline waits for its end
};

/// Whether a frame somewhere still has a share of one of the blocks.
[[nodiscard]] bool holds_frames(const Memory& memory);
/// Frees the arenas that pipelines have left behind and in which no frame has a share any more.
void free_orphans();

/// A host that ignores SIGCHLD, or reaps every child, leaves no status, nor does a debugger that holds what is left of
/// the process. Neither an exit nor a signal looks like it.
inline constexpr int kNoStatus = -1;

class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(Pipeline& pipeline, Options options);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  SharedBlock to_shm(std::string_view name, std::span<const std::byte> bytes, Dict metadata);

  /// Plans, makes the memory, starts the supervisor and the lanes. Throws GraphError, StartError, MemoryError.
  void start();
  /// Turns the main lane on this thread until the run is over.
  void run_main_lane();
  /// After start(): a thread of its own for the main lane.
  void start_main_thread();
  /// Waits until the run is over; false at the deadline.
  bool wait_until_over(const shm::Deadline& deadline);
  /// Nobody will wait for this run: its threads end by themselves, and Pipeline's destructor waits for them.
  void leave_alone();
  /// Throws the first error, if there was one.
  void rethrow() const;

  void end_of_stream() noexcept;
  /// Tells all lanes to leave; what has not left by then is killed.
  void request_stop(std::chrono::nanoseconds allowed) noexcept;
  /// What became of each element so far, where the run has not ended by the deadline of a stop.
  [[nodiscard]] StopReport unfinished_stop() const;
  // SYNC run.started (acquire): pairs with the end of start()
  [[nodiscard]] bool started() const noexcept { return started_.load(std::memory_order_acquire); }
  /// Whether the caller is the main lane's thread, in an element's code.
  [[nodiscard]] bool on_main_lane() const noexcept { return main_thread_id_.load() == std::this_thread::get_id(); }
  // SYNC run.over (acquire): pairs with the end of supervise(); the report is complete
  [[nodiscard]] bool over() const noexcept { return over_.load(std::memory_order_acquire); }
  [[nodiscard]] const Report& report() const { return report_; }
  [[nodiscard]] std::uint64_t frames_so_far() const noexcept;

  /// Parallelized::sub_process_shutdown, on the main lane's thread.
  std::vector<Frame> shut_down(Parallelized& element, std::chrono::nanoseconds timeout);

 private:
  struct DeadlyFrames {  // what a worker had in hand when it died last, and how often in a row
    std::uint64_t commits = 0;
    std::vector<std::uint64_t> positions;  // by inlet that it took from
    unsigned deaths = 0;
  };
  struct LaneRun {  // a thread or a process
    std::unique_ptr<Lane> lane;  // threads
    ChildProcess child;
    bool running = false;
    bool killed = false;
    bool failed = false;     // it died, or an exception left it
    std::string stuck;       // where it was when it was killed
    double cpu_seconds = 0;
    shm::Deadline start_by;    // what a process may take to attach
    shm::Deadline restart_at;  // its process has died, another will be started
    std::vector<RestartReport> restarts;
    std::chrono::nanoseconds backoff{0};
    std::uint64_t commits_seen = 0;  // when it died last
    std::size_t excused = 0;         // restarts that frames were to blame for which were set aside
    DeadlyFrames deadly;
    std::vector<DeadLetterReport> dead_letters;
    std::uint64_t polls_seen = 0;    // when it was looked at last, in watch_stalls
    shm::Clock::time_point looked_at{};
    std::uint64_t cpu_seen_ns = 0;
    std::chrono::nanoseconds stuck_for{0};
    bool stalled = false;  // and was killed for it
  };
  struct CrewRun {  // a thread and the lanes that it runs
    Crew crew;
    std::thread thread;
    bool running = true;
    std::uint64_t turns_seen = 0;
    explicit CrewRun(std::vector<Lane*> lanes) : crew(std::move(lanes)) {}
  };
  struct ElementEnds {  // of an element that takes part in the main lane: its ends of its worker's queues
    std::vector<Outlet*> outlets;
    std::vector<Inlet*> inlets;
    detail::EventWord stop, shutdown, terminated;
    Task* own_task = nullptr;  // the worker, where it is on the main lane itself
  };

  // start (run_start.cpp)
  void refuse_inside_worker() const;
  void claim_pipeline();
  void prepare();
  [[nodiscard]] shm::Segment::Sharing sharing() const noexcept;
  void choose_pages();
  [[nodiscard]] shm::Segment make_arena(const LaneSpec& lane) const;
  [[nodiscard]] static shm::Segment make_journal(const LaneSpec& lane);
  void make_memory();
  void lock_memory() const;
  void build_main_lane();
  void connect_elements();

  // main lane (run.cpp)
  void drain_workers();
  [[nodiscard]] bool all_sinks_ended() const noexcept;
  [[nodiscard]] WorkerControl& control_of(const PlannedWorker& worker) const noexcept;

  // supervisor (supervisor.cpp)
  void supervise();
  void start_lanes();
  void start_lane(std::uint32_t lane);
  void build_thread_lane(std::uint32_t lane);
  void start_crew(std::vector<Lane*> lanes);
  void take_place_of(const Crew& crew);
  void start_crews();
  void watch_crews();
  void part_crews();
  void poll_once();
  [[nodiscard]] int poll_timeout() const;
  void on_child_ended(std::uint32_t lane);
  void on_lane_ended(std::uint32_t lane);
  void on_signals();
  void check_deadlines();
  void stop_what_idles();
  void kill_lanes();
  void stop_lanes(std::chrono::nanoseconds allowed) noexcept;
  void tell_lanes_to_stop() noexcept;
  void mark_terminated(std::uint32_t lane) noexcept;
  [[nodiscard]] bool lanes_running() const noexcept;
  [[nodiscard]] bool is_starting(std::uint32_t lane) const noexcept;
  [[nodiscard]] std::string elements_of(std::uint32_t lane) const;
  bool collect_error(std::uint32_t lane);
  void add_error(std::exception_ptr error, const std::string& text);
  void wake_supervisor() const noexcept;
  void ring_lane(std::uint32_t lane) const noexcept;

  // workers that died (restarts.cpp)
  [[nodiscard]] bool begin_restart(std::uint32_t lane, int status);
  [[nodiscard]] bool is_to_be_restarted(std::uint32_t lane, int status);
  [[nodiscard]] bool spend_restart(std::uint32_t lane);
  [[nodiscard]] const PlannedWorker& worker_on(std::uint32_t lane) const;
  [[nodiscard]] std::string cause_of_death(std::uint32_t lane, int status) const;
  [[nodiscard]] const ElementOptions& options_of(std::uint32_t lane) const;
  void lose_frames(const LaneSpec& spec);
  void forget_attempt(std::uint32_t lane);
  [[nodiscard]] std::chrono::nanoseconds next_backoff(std::uint32_t lane);
  void restart_those_due();

  // frames that kill whoever takes them (deadly_frames.cpp)
  bool set_aside_deadly_frames(std::uint32_t lane, int status);
  [[nodiscard]] bool write_letters(std::uint32_t lane, int status);
  [[nodiscard]] Frame copy_of_slot(const shm::Slot& slot) const;

  // workers that hang (stalls.cpp)
  void watch_stalls();
  [[nodiscard]] bool is_watched(std::uint32_t lane) const noexcept;
  [[nodiscard]] std::string stall_text(std::uint32_t lane) const;

  // elements that wait for each other (deadlocks.cpp)
  void begin_to_watch_sleepers() noexcept;
  void set_watched(std::uint32_t watched) noexcept;
  void watch_sleepers();
  [[nodiscard]] std::vector<std::uint32_t> sleepers() const;
  [[nodiscard]] std::vector<std::uint32_t> parts() const;
  void look_for_deadlock();
  [[nodiscard]] const PlannedLink* find_contradiction(
      const std::vector<AwaitedLink>& awaited, const std::vector<std::optional<LinkPositions>>& positions) const;

  // how elements left (stop_report.cpp)
  void note_ending() noexcept;
  [[nodiscard]] std::string stuck_text(std::uint32_t lane) const;
  [[nodiscard]] StopReport stop_report(bool over, const std::vector<LinkReport>& links) const;
  [[nodiscard]] Ending ending_of(const Element& element, const PlannedWorker* worker, bool over) const;
  void count_frames(ElementStop& stop, const std::vector<LinkReport>& links) const;
  void tell_unfinished();

  // what has become of those that have ended (verdicts.cpp)
  void judge_child(std::uint32_t lane, int status);
  [[nodiscard]] const LinkEnd* left_open(std::uint32_t lane) const;
  void judge_streams();

  // end (run_report.cpp)
  void conclude();
  void tell_elements_of_the_end();
  void release_left_frames();
  void write_report();
  void report_elements();
  void report_bottleneck();

  // what became of the frames of each link (ledger.cpp)
  [[nodiscard]] const LinkCounters& counters_of(std::uint32_t link, std::uint32_t lane) const;
  [[nodiscard]] LinkReport link_report(std::uint32_t number) const;
  void report_links();

  Pipeline& pipeline_;
  Options options_;
  Plan plan_;
  std::shared_ptr<PipelineMemory> pipeline_memory_;
  std::shared_ptr<Memory> memory_;
  std::vector<SharedBlockSpec> shared_specs_;
  std::vector<Control> controls_;  // by lane
  std::vector<LaneRun> lanes_;     // by lane; [0] is the main lane
  std::vector<std::atomic<std::uint64_t>> lost_;  // by link: frames that died with a worker that delivers at most once
  std::deque<CrewRun> crews_;      // of threads; the supervisor's
  std::vector<Island*> islands_;
  std::vector<ElementEnds> element_ends_;  // by worker
  shm::Barrier barrier_ = shm::Barrier::fence;

  std::thread supervisor_, main_thread_;
  int wake_fd_ = -1;
  std::vector<pollfd> poll_fds_;  // the supervisor's, as are the next two
  std::vector<std::uint32_t> poll_owners_;
  int looks_at_sleepers_ = 0;
  shm::Deadline next_look_;    // at lanes that wait for room; nothing: none has said so
  int quiet_looks_ = 0;        // in a row
  bool stop_was_due_ = false;  // what had not left was killed
  std::vector<std::string> failed_elements_;
  std::unique_ptr<SignalEOS> signals_;
  int signals_seen_ = 0;     // before this run
  int signals_handled_ = 0;

  mutable std::mutex mutex_;  // guards the following; never taken for a frame
  std::condition_variable changed_;
  std::vector<std::exception_ptr> errors_;
  std::vector<std::string> error_texts_;
  shm::Deadline stop_deadline_;
  struct LinkMoment {  // of a link, when the end was asked for
    std::uint64_t delivered = 0, dropped = 0, lost = 0;
  };
  [[nodiscard]] LinkMoment moment_of(std::uint32_t link) const noexcept;
  std::vector<LinkMoment> at_ending_;  // by link
  std::uint64_t ending_ns_ = 0;        // 0: nobody has asked for the end
  std::uint64_t stop_ns_ = 0;          // when lanes were told to leave
  StopReport unfinished_;
  std::vector<std::uint32_t> ended_lanes_;
  std::vector<Lane*> heavy_lanes_;
  std::vector<CrewRun*> ended_crews_;

  std::atomic<bool> started_{false}, stopping_{false}, main_done_{false}, sinks_ended_{false}, over_{false};
  std::atomic<bool> watching_{false};  // the supervisor looks after crews that do not come back from a poll
  std::atomic<std::thread::id> main_thread_id_{};
  std::uint64_t start_ns_ = 0, end_ns_ = 0;
  Report report_;
};

/// Builds the lane's workers on it: the same for threads, processes and the main lane.
void add_workers(Lane& lane, Control& control, const std::vector<SharedBlock>& shared_blocks);
[[nodiscard]] std::vector<SharedBlock> map_shared_blocks(const LaneSpec& spec, const Memory& memory);

/// For SignalEOS and Options::handle_signals (signals.cpp): the handler writes to this descriptor as well.
void notify_on_signal(int fd) noexcept;
void forget_on_signal(int fd) noexcept;

}  // namespace weir::engine
