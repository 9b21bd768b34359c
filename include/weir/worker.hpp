// Elements with a worker: part of their work, the static `sub_process_internal(WorkerContext&)`, runs on a lane of
// its own choice (Mode) and is polled there until it has ended.
//
// An element that keeps the default `pull` / `new_frame` is linked straight to its neighbours: frames go from
// worker to worker and the main lane never sees them. One that overrides them takes part in the main lane's turns
// and talks to its worker through `in_queue()` and `out_queue()`, as in the reference.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "weir/element.hpp"
#include "weir/event.hpp"
#include "weir/export.hpp"
#include "weir/queue.hpp"
#include "weir/worker_context.hpp"

namespace weir {

using WorkerFunction = void (*)(WorkerContext&);

namespace engine {
class Run;
}

/// What the three Parallelize elements have in common: the worker and the element's ends of its queues. The
/// members are valid from the start of a run to its end, on the main lane's thread.
class WEIR_API Parallelized {
 public:
  /// Overrides the pipeline's mode for a whole class: `static constexpr auto mode_override = weir::Mode::thread;`
  /// (the reference's _use_threading_override). ElementOptions::mode overrides both.

  /// The queue to the worker; for several sink pads, one each. Sources have one as well ("in"), for commands.
  [[nodiscard]] QueueWriter& in_queue(std::size_t pad = 0);
  /// The queue from the worker; for several source pads, one each. Sinks have one as well ("out"), for results.
  [[nodiscard]] QueueReader& out_queue(std::size_t pad = 0);
  [[nodiscard]] Event worker_stop() const noexcept { return stop_; }
  [[nodiscard]] Event worker_shutdown() const noexcept { return shutdown_; }
  [[nodiscard]] Event terminated() const noexcept { return terminated_; }
  /// What the worker is told; set it before the run starts.
  Dict worker_argdict;

  /// Orderly shutdown: closes the in_queues, lets the worker finish what is queued, waits until it has ended, and
  /// returns what it had put that nobody took, in order (pad by pad). Throws ShutdownTimeout.
  [[nodiscard]] std::vector<Frame> sub_process_shutdown(std::chrono::nanoseconds timeout);

  /// Replaced by the element's own. Called again and again; each call does one unit of work.
  static void sub_process_internal(WorkerContext& context);

  Parallelized(const Parallelized&) = delete;
  Parallelized& operator=(const Parallelized&) = delete;

 protected:
  explicit Parallelized(const ElementOptions& options) : worker_argdict(options.worker_argdict) {}
  ~Parallelized() = default;

 private:
  friend class Pipeline;
  friend class engine::Wiring;
  friend class engine::Run;
  WorkerFunction function_ = nullptr;
  bool overrides_pull_ = false;
  bool overrides_new_frame_ = false;
  std::optional<Mode> class_mode_;
  engine::Run* run_ = nullptr;
  std::vector<QueueWriter> in_queues_;
  std::vector<QueueReader> out_queues_;
  Event stop_, shutdown_, terminated_;
};

class WEIR_API ParallelizeSourceElement : public SourceElement, public Parallelized {
 public:
  explicit ParallelizeSourceElement(ElementOptions options);
  Frame new_frame(SourcePad& pad) override;
};

class WEIR_API ParallelizeTransformElement : public TransformElement, public Parallelized {
 public:
  explicit ParallelizeTransformElement(ElementOptions options);
  void pull(SinkPad& pad, Frame frame) override;
  Frame new_frame(SourcePad& pad) override;
};

class WEIR_API ParallelizeSinkElement : public SinkElement, public Parallelized {
 public:
  explicit ParallelizeSinkElement(ElementOptions options);
  void pull(SinkPad& pad, Frame frame) override;
};

namespace detail {
/// Makes a worker function known by name, so that a spawned process finds it. Names are unique in a program.
struct WEIR_API WorkerRegistration {
  WorkerRegistration(const char* name, WorkerFunction function);
};

// A member that a class inherits has its base's type: that tells whether it was overridden.
template <class E>
consteval bool overrides_pull() {
  if constexpr (requires { &E::pull; })
    return !std::is_same_v<decltype(&E::pull), void (ParallelizeTransformElement::*)(SinkPad&, Frame)> &&
           !std::is_same_v<decltype(&E::pull), void (ParallelizeSinkElement::*)(SinkPad&, Frame)>;
  return std::is_base_of_v<TransformElement, E> || std::is_base_of_v<SinkElement, E>;  // hidden, so its own
}
template <class E>
consteval bool overrides_new_frame() {
  if constexpr (requires { &E::new_frame; })
    return !std::is_same_v<decltype(&E::new_frame), Frame (ParallelizeSourceElement::*)(SourcePad&)> &&
           !std::is_same_v<decltype(&E::new_frame), Frame (ParallelizeTransformElement::*)(SourcePad&)>;
  return true;
}
}  // namespace detail

}  // namespace weir

#define WEIR_DETAIL_JOIN2(a, b) a##b
#define WEIR_DETAIL_JOIN(a, b) WEIR_DETAIL_JOIN2(a, b)
// A semicolon may follow the macros below or not. g++ takes one at namespace scope for what it is, clang is asked to.
#ifdef __clang__
#define WEIR_DETAIL_END _Pragma("clang diagnostic ignored \"-Wc++98-compat-extra-semi\"")
#else
#define WEIR_DETAIL_END
#endif
/// At namespace scope in a source file: lets a spawned process find this element's worker by its name.
#define WEIR_WORKER(...)                                                                       \
  static const ::weir::detail::WorkerRegistration WEIR_DETAIL_JOIN(weir_worker_, __COUNTER__){ \
      #__VA_ARGS__, &__VA_ARGS__::sub_process_internal};                                       \
  WEIR_DETAIL_END
