// Elements: what a graph is made of. These three run in the pipeline's own loop; weir/worker.hpp has the three
// that have a worker as well.
//
// In each turn of the loop every source pad gives one frame, every sink pad takes one, in topological order, and
// `internal()` runs between. All of it on the thread of the main lane. An exception ends the run and arrives in
// the caller of run() as a WorkerError that names the element and the pad.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <type_traits>
#include <string_view>
#include <vector>

#include "weir/dict.hpp"
#include "weir/export.hpp"
#include "weir/frame.hpp"
#include "weir/overflow.hpp"
#include "weir/pad.hpp"
#include "weir/placement.hpp"
#include "weir/restart.hpp"
#include "weir/sandbox.hpp"

namespace weir {

/// Where an element's work runs.
enum class Mode : std::uint8_t {
  main,     ///< in the pipeline's own loop
  thread,   ///< in a thread
  process,  ///< in a process
};
WEIR_API std::string_view to_string(Mode mode) noexcept;
WEIR_API std::optional<Mode> mode_from(std::string_view text) noexcept;

struct ElementOptions {
  std::string name = {};                      ///< unique in its pipeline; empty: made from the type's name
  std::vector<std::string> sink_pads = {};    ///< added before the class's static pads
  std::vector<std::string> source_pads = {};
  std::optional<Mode> mode = {};              ///< overrides the pipeline's mode for this element's worker
  std::size_t queue_maxsize = 100;            ///< frames that each of its queues holds at most
  /// Instead: as many frames as come in that time, where Element::frame_rate knows; else the start fails.
  std::optional<std::chrono::nanoseconds> queue_time = {};
  Overflow overflow = Overflow::block;        ///< what finds no room in the queues of its sink pads; LinkOptions for one
  Dict worker_argdict = {};                   ///< what the worker is told
  std::optional<std::size_t> lane = {};       ///< workers of one mode with the same number share a lane
  // Of its worker's lane. Workers that share one have to agree; the main lane has Options::main_cpu and the like.
  std::optional<Wait> wait = {};              ///< overrides the pipeline's
  Cpus cpu = {};                              ///< the thread or process runs on these only
  int realtime = 0;                           ///< 1…99: SCHED_FIFO with this priority; 0: as the program
  // Of its worker's process, which has to be its own.
  Restart restart = Restart::never;           ///< what becomes of it when it dies
  std::size_t restart_budget = 10;            ///< how often in a run at most; then the run fails
  /// The pause before a restart; twice the last one, up to 1 s, where the worker has not got on since.
  std::chrono::nanoseconds restart_backoff = std::chrono::milliseconds(10);
  Delivery delivery = Delivery::exactly_once; ///< of what it had taken when it died
  /// The file for frames that kill each worker that takes them (weir/dead_letters.hpp): when one has done so three times
  /// in a row, it is set aside there, and a gap frame of the same time and length takes its place. Empty: where
  /// Options::dead_letters says; if that is empty, too, such a frame ends the run when the budget is used up.
  std::string dead_letters = {};
  /// A poll that takes longer is taken for hung, and its process for dead: it is killed. What it waits in a queue does
  /// not count, nor does time in which the process is stopped by a signal or a debugger, or waits for a CPU.
  std::optional<std::chrono::nanoseconds> stall_timeout = {};
  Sandbox sandbox = Sandbox::none;            ///< what it may do beside its work
  /// Files that it may read in a sandbox, by the very paths that it opens; "-": the standard input. They are opened as
  /// the worker starts. `make_element` adds what its type's parameters name.
  std::vector<std::string> sandbox_reads = {};
};

/// What a pad needs before it gives frames.
struct FrameNeed {
  std::size_t first = 1;  ///< frames that each sink pad takes before the first comes
  std::size_t each = 1;   ///< and more of them for each that follows
};

namespace engine {
class Wiring;
}
namespace shm {
class Doorbell;
}

class WEIR_API Element {
 public:
  virtual ~Element();
  Element(const Element&) = delete;
  Element& operator=(const Element&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return options_.name; }
  [[nodiscard]] const ElementOptions& options() const noexcept { return options_; }
  /// By short name; throws GraphError if there is none, naming those there are.
  [[nodiscard]] SourcePad& src(std::string_view pad_name);
  [[nodiscard]] SinkPad& snk(std::string_view pad_name);
  [[nodiscard]] std::deque<SourcePad>& source_pads() noexcept { return source_pads_; }
  [[nodiscard]] std::deque<SinkPad>& sink_pads() noexcept { return sink_pads_; }
  [[nodiscard]] const std::deque<SourcePad>& source_pads() const noexcept { return source_pads_; }
  [[nodiscard]] const std::deque<SinkPad>& sink_pads() const noexcept { return sink_pads_; }
  [[nodiscard]] InternalPad& internal_pad() noexcept { return internal_pad_; }

  /// Called once a turn, after the element's sink pads and before its source pads.
  virtual void internal() {}
  /// Whether the element can take part in a turn now. One that is fed from outside says no until it has
  /// something, and calls `wake()` from any thread when the answer may have changed. Called by the main lane.
  [[nodiscard]] virtual bool ready() { return true; }
  /// How many frames a second this pad gives in the long run, where that is known before the run. One that gives a
  /// frame for each that it takes overrides it with `return frame_rate_of_input();`.
  [[nodiscard]] virtual std::optional<double> frame_rate(const SourcePad& pad) const;
  /// How many frames it takes before this pad gives one, where that is known before the run; here: nothing is known. A
  /// worker that says it lets weir find queues that are too small where branches join (Explanation::warnings,
  /// Deadlock). On the main lane each pad takes or gives one in a turn.
  [[nodiscard]] virtual std::optional<FrameNeed> frames_needed(const SourcePad& pad) const;
  /// The class's name, for reports and pictures.
  [[nodiscard]] virtual std::string type_name() const;

 protected:
  explicit Element(ElementOptions options);
  /// Of what the first sink pad takes.
  [[nodiscard]] std::optional<double> frame_rate_of_input() const;
  /// Makes the main lane ask `ready()` again. Thread-safe; does nothing when no run is under way.
  void wake() noexcept;
  /// A run is about to start, or will at least be over. Called once per run, on the thread that starts it.
  virtual void run_started() {}
  /// A run is over, completed or not. Called once per run, on a thread of the engine.
  virtual void run_ended() {}

 private:
  friend class Pipeline;
  friend class engine::Wiring;
  ElementOptions options_;
  std::deque<SourcePad> source_pads_;  // deque: pads never move
  std::deque<SinkPad> sink_pads_;
  InternalPad internal_pad_;
  bool has_internal_ = true, has_ready_ = true;  // whether its class has these functions of its own
  std::atomic<const shm::Doorbell*> main_bell_{nullptr};  // belongs to the pipeline, from its first run on
};

/// Gives frames. At least one source pad, no sink pads.
class WEIR_API SourceElement : public Element {
 public:
  explicit SourceElement(ElementOptions options);
  /// The next frame of this pad; the reference's `new`. Not called again once it gave an EOS frame.
  virtual Frame new_frame(SourcePad& pad) = 0;
  /// The run is asked to end (Ctrl+C, Parallelize::end_of_stream). True: this source ends by itself, after what it
  /// holds. False, as here: the engine gives EOS frames in its place from now on.
  virtual bool end_stream() { return false; }
};

/// Takes frames and gives frames. At least one pad each way.
class WEIR_API TransformElement : public Element {
 public:
  explicit TransformElement(ElementOptions options);
  virtual void pull(SinkPad& pad, Frame frame) = 0;
  virtual Frame new_frame(SourcePad& pad) = 0;
};

/// Takes frames. At least one sink pad, no source pads.
class WEIR_API SinkElement : public Element {
 public:
  explicit SinkElement(ElementOptions options);
  virtual void pull(SinkPad& pad, Frame frame) = 0;
  /// Says that nothing more is wanted from this pad. The engine says it for an EOS frame after its pull.
  void mark_eos(SinkPad& pad);
  /// All pads are at EOS (the reference: any).
  [[nodiscard]] virtual bool at_eos() const noexcept { return open_pads_ == 0; }

 private:
  friend class engine::Wiring;
  void reopen();  // before a run
  std::vector<bool> pad_at_eos_;
  std::size_t open_pads_;
};

namespace detail {
// A member that a class inherits has its base's type: that tells whether it was overridden.
template <class E>
consteval bool overrides_internal() {
  if constexpr (requires { &E::internal; }) return !std::is_same_v<decltype(&E::internal), void (Element::*)()>;
  return true;  // hidden, so its own
}
template <class E>
consteval bool overrides_ready() {
  if constexpr (requires { &E::ready; }) return !std::is_same_v<decltype(&E::ready), bool (Element::*)()>;
  return true;
}
}  // namespace detail

}  // namespace weir
