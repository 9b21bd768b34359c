// AppSource and AppSink. Between the host's threads and the main lane is a bounded queue; the eventfds serve the
// host's event loop, the main lane is woken through its bell.
#include "weir/app.hpp"

#include "shm/doorbell.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

namespace weir {

namespace {

/// An eventfd as a flag that a host can poll for.
class Signal {
 public:
  Signal() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) throw Error(std::string("can't make an eventfd: ") + std::strerror(errno));
  }
  ~Signal() { ::close(fd_); }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  [[nodiscard]] int fd() const noexcept { return fd_; }
  void raise() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(fd_, &one, sizeof one);  // full: it is readable anyway
  }
  void lower() const noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto n = ::read(fd_, &count, sizeof count);
  }

 private:
  int fd_;
};

/// A bounded queue for any number of threads on each side, first in first out whoever pushes: each slot carries a
/// stamp that says whose turn it is (after Dmitry Vyukov's bounded MPMC queue). Closing is a bit of the tail, so a
/// frame is either before the end or refused. Never allocates.
///
/// All orders are seq_cst: who waits for room or for a frame announces that first and then looks again.
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t limit)
      : limit_(std::max<std::size_t>(limit, 1)), mask_(std::bit_ceil(std::max<std::size_t>(limit_, 2)) - 1), slots_(mask_ + 1) {
    for (std::size_t i = 0; i < slots_.size(); ++i) slots_[i].stamp = i;
  }
  /// `last` closes the queue with this frame.
  [[nodiscard]] bool try_push(Frame& frame, bool last = false) noexcept {
    std::uint64_t tail = tail_.load();
    for (;;) {
      if (tail & kClosed) return false;
      Slot& slot = slots_[tail & mask_];
      // The slot may be free later than there is room: a popper may still be moving its frame out.
      const bool free = static_cast<std::int64_t>(tail - head_.load()) < limit() && slot.stamp.load() == tail;
      const std::uint64_t now = free ? tail : tail_.load();
      if (!free && now == tail) return false;
      if (!free) tail = now;
      else if (tail_.compare_exchange_weak(tail, (tail + 1) | (last ? kClosed : 0))) {
        slot.frame = std::move(frame);
        slot.stamp.store(tail + 1);
        return true;
      }
    }
  }
  [[nodiscard]] bool try_pop(Frame& frame) noexcept {
    std::uint64_t head = head_.load();
    for (;;) {
      Slot& slot = slots_[head & mask_];
      if (slot.stamp.load() != head + 1) {
        const std::uint64_t now = head_.load();
        if (now == head) return false;
        head = now;
      } else if (head_.compare_exchange_weak(head, head + 1)) {
        frame = std::move(slot.frame);
        slot.stamp.store(head + slots_.size());
        return true;
      }
    }
  }
  void close() noexcept { tail_.fetch_or(kClosed); }
  void open() noexcept { tail_.fetch_and(~kClosed); }
  [[nodiscard]] bool closed() const noexcept { return (tail_.load() & kClosed) != 0; }
  /// Frames that are in, or are being moved in.
  [[nodiscard]] std::size_t size() const noexcept {
    const std::uint64_t head = head_.load();  // first: the tail is never behind a head that was seen before
    return (tail_.load() & ~kClosed) - head;
  }
  [[nodiscard]] bool has_frame() const noexcept {
    const std::uint64_t head = head_.load();
    return slots_[head & mask_].stamp.load() == head + 1;
  }
  [[nodiscard]] bool drained() const noexcept { return closed() && size() == 0; }
  [[nodiscard]] bool full() const noexcept { return size() >= limit_; }
  [[nodiscard]] std::size_t room() const noexcept { return limit_ - std::min(size(), limit_); }

 private:
  struct Slot {
    std::atomic<std::uint64_t> stamp;  // p: free for position p; p + 1: holds its frame
    Frame frame;
  };
  [[nodiscard]] std::int64_t limit() const noexcept { return static_cast<std::int64_t>(limit_); }
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63;
  const std::size_t limit_, mask_;
  std::vector<Slot> slots_;
  std::atomic<std::uint64_t> tail_{0};  // position of the next frame, and kClosed
  std::atomic<std::uint64_t> head_{0};
};

/// As condition_variable::wait_for, which can't add every timeout to the time of day.
template <class Holds>
void wait_for(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, std::chrono::nanoseconds timeout,
              Holds holds) {
  const shm::Deadline deadline = shm::deadline_after(timeout);
  if (deadline) changed.wait_until(lock, *deadline, holds);
  else changed.wait(lock, holds);
}

ElementOptions with_pad(ElementOptions options, std::vector<std::string> ElementOptions::*pads, const char* name) {
  if ((options.*pads).empty()) (options.*pads).emplace_back(name);
  return options;
}

}  // namespace

// --- AppSource

struct AppSource::Queue {
  explicit Queue(std::size_t limit) : frames(limit) {}
  BoundedQueue frames;
  std::atomic<bool> was_full{false};
  std::atomic<bool> run_over{false};  // closed by the end of a run, until the next
  std::mutex mutex;  // only for push_for and its waking
  std::condition_variable room;
  std::atomic<int> waiting{0};
  Signal room_signal;
};

AppSource::AppSource(ElementOptions options)
    : SourceElement(with_pad(std::move(options), &ElementOptions::source_pads, "out")),
      queue_(std::make_unique<Queue>(this->options().queue_maxsize)) {
  if (source_pads().size() != 1)
    throw GraphError("app source '" + name() + "' has " + std::to_string(source_pads().size()) + " pads; it has one");
}
AppSource::~AppSource() = default;

bool AppSource::try_push(Frame& frame) noexcept {
  if (!queue_->frames.try_push(frame, frame.eos())) {
    if (queue_->frames.closed()) return false;
    // SYNC app.full: we announce, then look again; who makes room looks at the flag afterwards (all seq_cst)
    queue_->was_full.store(true, std::memory_order_seq_cst);
    // Room may have come between the failure and the flag: then nobody would raise the signal.
    if (!queue_->frames.full()) queue_->room_signal.raise();
    return false;
  }
  wake();
  return true;
}

bool AppSource::push_for(Frame& frame, std::chrono::nanoseconds timeout) {
  if (try_push(frame)) return true;
  std::unique_lock lock(queue_->mutex);
  // SYNC app.waiting: announced before the look under the lock; the other side looks here after its change
  queue_->waiting.fetch_add(1, std::memory_order_seq_cst);
  bool pushed = false;
  wait_for(queue_->room, lock, timeout, [&] {
    pushed = try_push(frame);
    return pushed || queue_->frames.closed();
  });
  queue_->waiting.fetch_sub(1, std::memory_order_relaxed);
  return pushed;
}

void AppSource::end_of_stream() noexcept {
  queue_->frames.close();
  { std::scoped_lock lock(queue_->mutex); }
  queue_->room.notify_all();
  // SYNC app.full: see try_push
  if (queue_->was_full.exchange(false, std::memory_order_seq_cst)) queue_->room_signal.raise();  // to learn of the end
  wake();
}

void AppSource::reopen() noexcept {
  for (Frame frame; queue_->frames.try_pop(frame);) frame = Frame();
  queue_->run_over = false;
  queue_->frames.open();
}

void AppSource::run_started() {
  if (queue_->run_over) reopen();
}

// After a stop or an error nothing takes frames any more: whoever waits for room learns of it from here.
void AppSource::run_ended() {
  queue_->run_over = true;
  end_of_stream();
}

int AppSource::room_fd() const noexcept { return queue_->room_signal.fd(); }
void AppSource::clear_room() noexcept { queue_->room_signal.lower(); }

bool AppSource::ready() { return queue_->frames.has_frame() || queue_->frames.drained(); }

bool AppSource::end_stream() {
  if (!queue_->frames.closed()) end_of_stream();
  return true;
}

Frame AppSource::new_frame(SourcePad&) {
  Frame frame;
  if (!queue_->frames.try_pop(frame)) return Frame::end_of_stream();  // see ready()
  // SYNC app.full, SYNC app.waiting: the room was made before we look at the two
  if (queue_->was_full.exchange(false, std::memory_order_seq_cst)) queue_->room_signal.raise();
  if (queue_->waiting.load(std::memory_order_seq_cst) > 0) {
    { std::scoped_lock lock(queue_->mutex); }
    queue_->room.notify_all();
  }
  return frame;
}

// --- AppSink

struct AppSink::Queue {
  explicit Queue(std::size_t limit) : frames(limit) {}
  BoundedQueue frames;
  std::function<void(SinkPad&, Frame)> callback;
  std::atomic<std::size_t> open_pads{0};
  std::vector<bool> pad_ended;  // the main lane's
  std::mutex mutex;  // only for pop_for and its waking, and for lowering the signal
  std::condition_variable arrived;
  std::atomic<int> waiting{0};
  Signal signal;
};

AppSink::AppSink(ElementOptions options)
    : SinkElement(with_pad(std::move(options), &ElementOptions::sink_pads, "in")),
      queue_(std::make_unique<Queue>(std::max(this->options().queue_maxsize, sink_pads().size()))) {
  queue_->open_pads = sink_pads().size();
  queue_->pad_ended.resize(sink_pads().size());
}
AppSink::~AppSink() = default;

void AppSink::on_frame(std::function<void(SinkPad&, Frame)> callback) { queue_->callback = std::move(callback); }
bool AppSink::ready() { return queue_->callback || queue_->frames.room() >= sink_pads().size(); }
int AppSink::fd() const noexcept { return queue_->signal.fd(); }

bool AppSink::ended() const noexcept {
  // SYNC app.ended (acquire): pairs with pull(); the last frame is in the queue
  return queue_->open_pads.load(std::memory_order_acquire) == 0 && queue_->frames.size() == 0;
}

void AppSink::pull(SinkPad& pad, Frame frame) {
  if (queue_->pad_ended[pad.index()]) return;  // the EOS frames of a pad that has ended while others go on
  const bool eos = queue_->pad_ended[pad.index()] = frame.eos();
  if (queue_->callback) queue_->callback(pad, std::move(frame));
  else
    while (!queue_->frames.try_push(frame)) std::this_thread::yield();  // there is room, see ready(): a popper is at it
  // SYNC app.ended (release): the frame was queued before
  if (eos) queue_->open_pads.fetch_sub(1, std::memory_order_acq_rel);
  queue_->signal.raise();
  // SYNC app.waiting: the frame was queued before we look
  if (queue_->waiting.load(std::memory_order_seq_cst) > 0) {
    { std::scoped_lock lock(queue_->mutex); }
    queue_->arrived.notify_all();
  }
}

void AppSink::run_started() {
  queue_->pad_ended.assign(sink_pads().size(), false);
  queue_->open_pads = sink_pads().size();
}

// After a stop or an error no EOS frame has come: whoever waits learns of the end from here.
void AppSink::run_ended() {
  queue_->open_pads = 0;
  queue_->signal.raise();
  { std::scoped_lock lock(queue_->mutex); }
  queue_->arrived.notify_all();
}

std::optional<Frame> AppSink::try_pop() noexcept {
  std::optional<Frame> frame(std::in_place);
  if (!queue_->frames.try_pop(*frame)) {
    queue_->signal.lower();
    // A frame may have come between the look and the lowering; and the end stays readable.
    if (queue_->frames.size() > 0 || ended()) queue_->signal.raise();
    return std::nullopt;
  }
  if (queue_->frames.size() == 0 && !ended()) {
    queue_->signal.lower();
    if (queue_->frames.size() > 0 || ended()) queue_->signal.raise();
  }
  wake();
  return frame;
}

std::optional<Frame> AppSink::pop_for(std::chrono::nanoseconds timeout) {
  std::optional<Frame> frame = try_pop();
  if (frame) return frame;
  std::unique_lock lock(queue_->mutex);
  // SYNC app.waiting: announced before the look under the lock; the other side looks here after its change
  queue_->waiting.fetch_add(1, std::memory_order_seq_cst);
  wait_for(queue_->arrived, lock, timeout, [&] {
    frame = try_pop();
    return frame.has_value() || ended();
  });
  queue_->waiting.fetch_sub(1, std::memory_order_relaxed);
  return frame;
}

}  // namespace weir
