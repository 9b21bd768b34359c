// AppSource and AppSink. The queue between the host's threads and the main lane is moodycamel's ConcurrentQueue, with
// a count that bounds it; the eventfds serve the host's event loop, the main lane is woken through its bell.
#include "weir/app.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include <concurrentqueue/concurrentqueue.h>
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

/// A bounded queue for any number of threads on each side. A place is reserved before a frame goes in, so it
/// never holds more than its limit.
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t limit) : limit_(limit), queue_(limit) {}
  bool try_push(Frame& frame) {
    std::size_t size = size_.load(std::memory_order_relaxed);  // the queue orders the frame itself
    do {
      if (size >= limit_) return false;
    } while (!size_.compare_exchange_weak(size, size + 1, std::memory_order_acq_rel));
    queue_.enqueue(std::move(frame));
    return true;
  }
  bool try_pop(Frame& frame) {
    if (!queue_.try_dequeue(frame)) return false;
    size_.fetch_sub(1, std::memory_order_acq_rel);
    return true;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }
  [[nodiscard]] bool full() const noexcept { return size() >= limit_; }
  [[nodiscard]] std::size_t room() const noexcept { return limit_ - size(); }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> size_{0};  // reserved places, so at least the frames that are in
  moodycamel::ConcurrentQueue<Frame> queue_;
};

ElementOptions with_pad(ElementOptions options, std::vector<std::string> ElementOptions::*pads, const char* name) {
  if ((options.*pads).empty()) (options.*pads).emplace_back(name);
  return options;
}

}  // namespace

// --- AppSource

struct AppSource::Queue {
  explicit Queue(std::size_t limit) : frames(limit) {}
  BoundedQueue frames;
  std::atomic<bool> ended{false};
  std::atomic<bool> was_full{false};
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
  if (queue_->ended.load(std::memory_order_acquire)) return false;
  const bool eos = frame.eos();
  if (!queue_->frames.try_push(frame)) {
    queue_->was_full.store(true, std::memory_order_seq_cst);
    // Room may have come between the failure and the flag: then nobody would raise the signal.
    if (!queue_->frames.full()) queue_->room_signal.raise();
    return false;
  }
  if (eos) queue_->ended.store(true, std::memory_order_release);
  wake();
  return true;
}

bool AppSource::push_for(Frame& frame, std::chrono::nanoseconds timeout) {
  if (try_push(frame)) return true;
  std::unique_lock lock(queue_->mutex);
  queue_->waiting.fetch_add(1, std::memory_order_seq_cst);
  bool pushed = false;
  queue_->room.wait_for(lock, timeout, [&] {
    pushed = try_push(frame);
    return pushed || queue_->ended.load(std::memory_order_acquire);
  });
  queue_->waiting.fetch_sub(1, std::memory_order_relaxed);
  return pushed;
}

void AppSource::end_of_stream() noexcept {
  queue_->ended.store(true, std::memory_order_release);
  { std::scoped_lock lock(queue_->mutex); }
  queue_->room.notify_all();
  wake();
}

int AppSource::room_fd() const noexcept { return queue_->room_signal.fd(); }
void AppSource::clear_room() noexcept { queue_->room_signal.lower(); }

bool AppSource::ready() { return queue_->frames.size() > 0 || queue_->ended.load(std::memory_order_acquire); }

bool AppSource::end_stream() {
  if (!queue_->ended.load(std::memory_order_acquire)) end_of_stream();
  return true;
}

Frame AppSource::new_frame(SourcePad&) {
  Frame frame;
  while (!queue_->frames.try_pop(frame)) {
    // A place may be reserved whose frame is not in yet; without one, the stream is over.
    if (queue_->frames.size() == 0) return Frame::end_of_stream();
  }
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
  std::mutex mutex;  // only for pop_for and its waking, and for lowering the signal
  std::condition_variable arrived;
  std::atomic<int> waiting{0};
  Signal signal;
};

AppSink::AppSink(ElementOptions options)
    : SinkElement(with_pad(std::move(options), &ElementOptions::sink_pads, "in")),
      queue_(std::make_unique<Queue>(std::max(this->options().queue_maxsize, sink_pads().size()))) {
  queue_->open_pads = sink_pads().size();
}
AppSink::~AppSink() = default;

void AppSink::on_frame(std::function<void(SinkPad&, Frame)> callback) { queue_->callback = std::move(callback); }
bool AppSink::ready() { return queue_->callback || queue_->frames.room() >= sink_pads().size(); }
int AppSink::fd() const noexcept { return queue_->signal.fd(); }

bool AppSink::ended() const noexcept {
  return queue_->open_pads.load(std::memory_order_acquire) == 0 && queue_->frames.size() == 0;
}

void AppSink::pull(SinkPad& pad, Frame frame) {
  const bool eos = frame.eos();
  if (queue_->callback) queue_->callback(pad, std::move(frame));
  else if (!queue_->frames.try_push(frame)) throw Error("app sink '" + name() + "' has no room");  // see ready()
  if (eos) queue_->open_pads.fetch_sub(1, std::memory_order_acq_rel);
  queue_->signal.raise();
  if (queue_->waiting.load(std::memory_order_seq_cst) > 0) {
    { std::scoped_lock lock(queue_->mutex); }
    queue_->arrived.notify_all();
  }
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
  queue_->waiting.fetch_add(1, std::memory_order_seq_cst);
  queue_->arrived.wait_for(lock, timeout, [&] {
    frame = try_pop();
    return frame.has_value() || ended();
  });
  queue_->waiting.fetch_sub(1, std::memory_order_relaxed);
  return frame;
}

}  // namespace weir
