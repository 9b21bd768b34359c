// The two ends of a worker's queue. A queue is bounded (`queue_maxsize`), first in first out, and belongs to one
// producer and one consumer; both ends are handles that the engine connects when a run starts. One thread at a
// time may use an end.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "weir/export.hpp"
#include "weir/frame.hpp"

namespace weir {

namespace engine {
class Inlet;   // where a consumer takes frames from
class Outlet;  // where a producer puts them
}

class WEIR_API QueueReader {
 public:
  /// The next frame. Waits for it; nothing means closed and empty, or that the run is stopping. A lane that polls
  /// several workers never waits inside a poll: there an empty queue gives nothing at once, and the lane polls
  /// again when something has come.
  [[nodiscard]] std::optional<Frame> get();
  /// The same, for at most `timeout`.
  [[nodiscard]] std::optional<Frame> get(std::chrono::nanoseconds timeout);
  [[nodiscard]] std::optional<Frame> get_nowait();
  /// Nothing to take right now.
  [[nodiscard]] bool empty() const;
  /// The producer has ended and everything it put was taken.
  [[nodiscard]] bool closed() const;
  /// Frames waiting; may be stale by the time it returns.
  [[nodiscard]] std::size_t size_approx() const;
  [[nodiscard]] std::size_t queue_maxsize() const;
  /// Frames taken since the start of the run, by processes before this one as well, without those whose taking was
  /// undone: the number, from 0, of the next. The same for the same frame, whoever takes it, however often.
  [[nodiscard]] std::uint64_t taken() const;

  explicit QueueReader(engine::Inlet* inlet = nullptr, std::string name = {}) : inlet_(inlet), name_(std::move(name)) {}

 private:
  friend class WorkerContext;
  [[nodiscard]] engine::Inlet& inlet() const;
  [[nodiscard]] std::optional<Frame> get_unusual();
  [[nodiscard]] std::optional<Frame> get_unusual(std::chrono::nanoseconds timeout);
  engine::Inlet* inlet_;
  std::string name_;  // for messages
};

class WEIR_API QueueWriter {
 public:
  /// Hands the frame on; waits while the queue is full. Throws PayloadError if the payload can't cross,
  /// SpecError if its spec differs from the frames before, and Interrupted if the run is stopping: then the frame
  /// stays with the caller.
  void put(Frame&& frame);
  /// Waits at most `timeout`; false if it is still full, and the frame stays with the caller.
  [[nodiscard]] bool put_for(Frame& frame, std::chrono::nanoseconds timeout);
  /// Never waits.
  [[nodiscard]] bool try_put(Frame& frame);
  [[nodiscard]] bool full() const;
  [[nodiscard]] std::size_t queue_maxsize() const;
  /// Frames given since the start of the run, counted as QueueReader::taken() does: the number, from 0, of the next.
  [[nodiscard]] std::uint64_t given() const;

  /// A frame whose block comes from this lane's arena, to be filled in place and put.
  template <Crossable T>
  [[nodiscard]] Frame loan(std::size_t count, const FrameOptions& options = {}) const {
    return Frame::loan<T>(count, options);
  }

  explicit QueueWriter(engine::Outlet* outlet = nullptr, std::string name = {})
      : outlet_(outlet), name_(std::move(name)) {}

 private:
  [[nodiscard]] engine::Outlet& outlet() const;
  void put_unusual(Frame& frame);
  engine::Outlet* outlet_;
  std::string name_;
};

}  // namespace weir
