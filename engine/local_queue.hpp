// LocalQueue: a queue inside a lane. It is laid out as a ring is, so that its ends are used in the same way, but no atomic
// is needed. Used by its lane's thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "shm/ring.hpp"
#include "weir/frame.hpp"

namespace weir::engine {

/// What one poll puts is always taken, even beyond the limit: the lane does not poll a
/// producer whose queue is full, so it holds at most the limit and one poll's output.
class LocalQueue {
 public:
  explicit LocalQueue(std::size_t limit);
  ~LocalQueue();
  LocalQueue(const LocalQueue&) = delete;
  LocalQueue& operator=(const LocalQueue&) = delete;
  [[nodiscard]] bool has_room() noexcept {
    look_at_reader();
    return size() < limit_;
  }
  [[nodiscard]] bool has_frame() const noexcept { return to_.pos != from_.pos; }
  [[nodiscard]] std::size_t size() const noexcept { return to_.pos - from_.pos; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  void put(Frame&& frame) {
    if (size() > to_.mask) [[unlikely]] grow();
    const detail::Descriptor& d = detail::FrameAccess::descriptor(frame);
    detail::DescriptorCopy::all(to_.slot(), d);
    if (d.kind > detail::Payload::scalar) ++to_.pos;  // the payload's share lies where the stamp would
    else to_.publish();
    detail::FrameAccess::forget(frame);
  }
  [[nodiscard]] const detail::Descriptor& front() const noexcept { return from_.slot(from_.pos); }
  /// The next frame was copied.
  void pop() noexcept { ++from_.pos; }
  /// Into an empty frame.
  void take(Frame& frame) noexcept {
    detail::Descriptor& d = detail::FrameAccess::descriptor(frame);
    detail::DescriptorCopy::all(d, front());
    if (d.kind <= detail::Payload::scalar) d.home = 0;
    pop();
  }
  void close() noexcept { closed_ = true; }
  [[nodiscard]] bool drained() const noexcept { return closed_ && !has_frame(); }
  /// The producer finds out when it looks for room, as with a ring: until then, what it puts stays in the queue.
  void leave() noexcept {
    gone_ = true;
    to_.until = to_.pos;
  }
  [[nodiscard]] bool consumer_gone() const noexcept { return gone_; }
  [[nodiscard]] std::uint64_t produced() const noexcept { return to_.pos; }
  [[nodiscard]] shm::SlotWriter& to() noexcept { return to_; }
  [[nodiscard]] shm::SlotReader& from() noexcept { return from_; }

 private:
  void grow();
  void look_at_reader() noexcept {
    if (!gone_) to_.until = from_.pos + std::min<std::uint64_t>(to_.mask + 1, limit_);
  }
  std::unique_ptr<detail::Descriptor[]> slots_;  // own the shares of the frames that were put
  std::size_t capacity_;   // slots there are, a power of two; few are in use, as long as few are needed, so that they
                           // stay in the cache
  shm::SlotWriter to_;
  shm::SlotReader from_;
  std::size_t limit_;
  bool closed_ = false, gone_ = false;
};

}  // namespace weir::engine
