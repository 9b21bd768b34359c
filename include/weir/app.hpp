// AppSource and AppSink: how a host program feeds and reads a running pipeline from threads of its own. Both
// are elements of the main lane with a bounded queue between the host's threads and the loop.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "weir/element.hpp"
#include "weir/export.hpp"

namespace weir {

/// A source that the host pushes frames into. Its functions are thread-safe.
class WEIR_API AppSource : public SourceElement {
 public:
  explicit AppSource(ElementOptions options);  ///< queue_maxsize bounds its queue; one source pad ("out" if none named)
  ~AppSource() override;

  /// Hands the frame over, or returns false where the queue is full, the stream ended or the run is over; then the
  /// frame stays with the caller. Never blocks, and never allocates once its queue has been filled once.
  [[nodiscard]] bool try_push(Frame& frame) noexcept;
  /// Waits for room for at most `timeout`; the end of the stream, or of the run, ends that as well.
  [[nodiscard]] bool push_for(Frame& frame, std::chrono::nanoseconds timeout);
  /// No more frames will come: what is queued goes out, then an EOS frame (unless the last one was).
  void end_of_stream() noexcept;
  /// After a run, before the next: takes frames again, and drops what the last run has left. A run that starts does
  /// the same where nobody has.
  void reopen() noexcept;
  /// Readable (poll, epoll) after the queue had been full and has room again, until `clear_room()`.
  [[nodiscard]] int room_fd() const noexcept;
  void clear_room() noexcept;

  Frame new_frame(SourcePad& pad) override;
  [[nodiscard]] bool ready() override;
  bool end_stream() override;

 protected:
  void run_started() override;
  void run_ended() override;

 private:
  struct Queue;
  std::unique_ptr<Queue> queue_;
};

/// A sink that the host pops frames from. Its functions are thread-safe; while its queue is full the pipeline waits.
class WEIR_API AppSink : public SinkElement {
 public:
  explicit AppSink(ElementOptions options);  ///< queue_maxsize bounds its queue; one sink pad ("in" if none named)
  ~AppSink() override;

  [[nodiscard]] std::optional<Frame> try_pop() noexcept;
  [[nodiscard]] std::optional<Frame> pop_for(std::chrono::nanoseconds timeout);
  /// All that will ever come has come and was popped; also after a run that was stopped or failed.
  [[nodiscard]] bool ended() const noexcept;
  /// Readable while frames wait or the stream has ended; popping the last one makes it unreadable again.
  [[nodiscard]] int fd() const noexcept;
  /// Called on the main lane's thread for each frame instead of queueing it. Set it before the run.
  void on_frame(std::function<void(SinkPad&, Frame)> callback);

  void pull(SinkPad& pad, Frame frame) override;
  [[nodiscard]] bool ready() override;

 protected:
  void run_started() override;
  void run_ended() override;

 private:
  struct Queue;
  std::unique_ptr<Queue> queue_;
};

}  // namespace weir
