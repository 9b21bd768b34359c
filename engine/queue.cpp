// Queue ends as element code sees them: the lane's waiting around an inlet or an outlet.
#include "weir/queue.hpp"

#include "engine/lane.hpp"

namespace weir {

using engine::Inlet;
using engine::Lane;
using engine::Outlet;

namespace {

/// Marks an end as what its lane waits for, as long as it lives.
class Awaiting {
 public:
  explicit Awaiting(bool& mark) noexcept : mark_(mark) { mark_ = true; }
  ~Awaiting() { mark_ = false; }
  Awaiting(const Awaiting&) = delete;
  Awaiting& operator=(const Awaiting&) = delete;

 private:
  bool& mark_;
};

bool is_set(const std::atomic<std::uint32_t>* word) noexcept {
  return word && word->load(std::memory_order_acquire) != 0;  // SYNC event.set (acquire): pairs with Event::set
}

bool stopped(const Inlet& inlet) noexcept { return inlet.lane().stopping() || is_set(inlet.stop); }
bool stopped(const Outlet& outlet) noexcept { return outlet.lane().stopping() || is_set(outlet.stop); }

using shm::deadline_after;

/// The worker is on the element's own lane: nobody else will poll it.
void poll_until_frame(Inlet& inlet, const shm::Deadline& deadline) {
  Lane& lane = inlet.lane();
  while (!inlet.has_frame() && !inlet.drained() && !stopped(inlet)) {
    if (lane.poll_workers() || inlet.has_frame()) continue;
    if (!lane.wait([&] { return lane.stopping() || lane.workers_ready(); }, deadline)) return;
  }
}

/// Waits for a frame as far as it may, and takes it; needs a queue that was found empty.
bool take_later(Inlet& inlet, Frame& frame, bool may_wait, std::optional<std::chrono::nanoseconds> timeout) {
  Lane& lane = inlet.lane();
  inlet.wanted = true;
  lane.note_attention();
  if (!may_wait || inlet.drained()) return false;
  const shm::Deadline deadline = timeout ? deadline_after(*timeout) : std::nullopt;
  if ((inlet.is_local() || lane.shared()) && !inlet.element_side) {
    lane.note_would_wait(inlet.worker ? inlet.worker->frames() : 0);
    if (deadline) lane.wake_at(*deadline);
    return false;
  }
  if (inlet.is_local()) {
    poll_until_frame(inlet, deadline);
  } else {
    inlet.refuse_too_much();
    const Awaiting here(inlet.awaited);
    lane.wait(
        [&] {
          return inlet.has_frame() || inlet.drained() || stopped(inlet) ||
                 (inlet.for_source && lane.end_of_stream_requested()) || (inlet.worker && inlet.worker->abandoned());
        },
        deadline);
  }
  if (inlet.try_take(frame)) return true;
  lane.note_timeout();
  return false;
}

[[gnu::noinline]] std::optional<Frame> take_unusual(Inlet& inlet, bool may_wait,
                                                    std::optional<std::chrono::nanoseconds> timeout) {
  std::optional<Frame> frame(std::in_place);
  if (!inlet.try_take(*frame) && !take_later(inlet, *frame, may_wait, timeout)) frame.reset();
  return frame;
}

/// False at the deadline.
bool put(Outlet& outlet, Frame& frame, const shm::Deadline& deadline) {
  Lane& lane = outlet.lane();
  if (!outlet.make_room() && !outlet.is_local()) {
    const bool waits = lane.can_be_parted() && outlet.backlog_is_long();
    if ((outlet.puts_later || (lane.shared() && !outlet.element_side && !waits)) && !deadline) {
      outlet.put_later(std::move(frame));
      return true;
    }
    outlet.refuse_too_much();
    {
      const Awaiting here(outlet.awaited);
      lane.wait([&] { return outlet.make_room() || stopped(outlet); }, deadline);
    }
    if (!outlet.has_room()) {
      if (stopped(outlet)) throw Interrupted();
      outlet.wanted = true;
      lane.note_timeout();
      return false;
    }
  }
  outlet.put(std::move(frame));
  return true;
}

}  // namespace

namespace {
[[noreturn]] void throw_unconnected(const std::string& name) {
  throw Error("the queue '" + name + "' is not connected: it works from the start of a run to its end");
}
}  // namespace

inline Inlet& QueueReader::inlet() const {
  if (!inlet_) [[unlikely]] throw_unconnected(name_);
  return *inlet_;
}

inline Outlet& QueueWriter::outlet() const {
  if (!outlet_) [[unlikely]] throw_unconnected(name_);
  return *outlet_;
}

// Everyday frames are handed on here; all else is in functions of their own, so that these need no stack.
std::optional<Frame> QueueReader::get() {
  if (engine::Inlet* const inlet = inlet_) [[likely]]
    if (const auto next = inlet->everyday(); next.slot) [[likely]] return inlet->take(next);
  return get_unusual();
}
std::optional<Frame> QueueReader::get(std::chrono::nanoseconds timeout) {
  if (engine::Inlet* const inlet = inlet_) [[likely]]
    if (const auto next = inlet->everyday(); next.slot) [[likely]] return inlet->take(next);
  return get_unusual(timeout);
}
std::optional<Frame> QueueReader::get_nowait() {
  if (engine::Inlet* const inlet = inlet_) [[likely]]
    if (const auto next = inlet->everyday(); next.slot) [[likely]] return inlet->take(next);
  return take_unusual(inlet(), false, std::nullopt);
}
[[gnu::noinline]] std::optional<Frame> QueueReader::get_unusual() { return take_unusual(inlet(), true, std::nullopt); }
[[gnu::noinline]] std::optional<Frame> QueueReader::get_unusual(std::chrono::nanoseconds timeout) {
  return take_unusual(inlet(), true, timeout);
}

bool QueueReader::empty() const {
  const bool empty = !inlet().has_frame();
  if (empty) {
    inlet().wanted = true;
    inlet().lane().note_attention();
  }
  return empty;
}
bool QueueReader::closed() const { return inlet().drained(); }
std::size_t QueueReader::size_approx() const { return inlet().size_approx(); }
std::size_t QueueReader::queue_maxsize() const { return inlet().limit(); }
std::uint64_t QueueReader::taken() const { return inlet().taken(); }

void QueueWriter::put(Frame&& frame) {
  if (!outlet_ || !outlet_->put_everyday(frame)) [[unlikely]] put_unusual(frame);
}
[[gnu::noinline]] void QueueWriter::put_unusual(Frame& frame) { (void)weir::put(outlet(), frame, std::nullopt); }
bool QueueWriter::put_for(Frame& frame, std::chrono::nanoseconds timeout) {
  return weir::put(outlet(), frame, deadline_after(timeout));
}

bool QueueWriter::try_put(Frame& frame) {
  Outlet& out = outlet();
  if (!out.make_room()) {
    out.wanted = true;
    out.lane().note_attention();
    return false;
  }
  out.put(std::move(frame));
  return true;
}

bool QueueWriter::full() const {
  const bool full = !outlet().make_room();
  if (full) {
    outlet().wanted = true;
    outlet().lane().note_attention();
  }
  return full;
}
std::size_t QueueWriter::queue_maxsize() const { return outlet().limit(); }
std::uint64_t QueueWriter::given() const { return outlet().given(); }

}  // namespace weir
