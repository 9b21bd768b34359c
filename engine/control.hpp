// The control block: one per lane, seen by the lane and the parent only. A worker process learns from it who it
// is; both sides read and write its words while the run lasts. The header comes first and is checked on attach.
//
//   ControlHeader | WorkerControl × workers | LinkCounters × ends | encoded LaneSpec
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "engine/lane_spec.hpp"
#include "shm/layout.hpp"
#include "shm/segment.hpp"
#include "weir/report.hpp"

namespace weir::engine {

enum class LaneState : std::uint32_t {
  created,         ///< by the parent
  attached,        ///< the lane has built itself
  ended,           ///< all its workers have ended
  failed,          ///< see the error record: an exception left a worker
  refused,         ///< see the error record: the worker can't be built
  no_worker_main,  ///< the process reached Parallelize: its main() does not begin with worker_main
};

/// One worker's events and figures. The words are futexes.
struct alignas(shm::kLine) WorkerControl {
  std::atomic<std::uint32_t> stop{0};        ///< parent → lane
  std::atomic<std::uint32_t> shutdown{0};    ///< parent → lane
  std::atomic<std::uint32_t> terminated{0};  ///< lane → parent; set by the supervisor for a dead lane
  std::atomic<std::uint32_t> pads_at_eos{0};  ///< lane → parent: on how many source pads it has put EOS
  std::atomic<std::uint32_t> ended{0};        ///< lane → parent, before terminated: its stream was over, by itself
  std::atomic<std::uint64_t> polls{0};
};
static_assert(sizeof(WorkerControl) == shm::kLine);

/// What became of the frames of a link end, as its lane counts them. Written by the lane, when it waits and ends.
struct LinkCounters {
  std::atomic<std::uint64_t> produced{0};
  std::atomic<std::uint64_t> delivered{0};
  std::atomic<std::uint64_t> samples{0};
  std::atomic<std::uint64_t> copies{0};
  std::atomic<std::uint64_t> dropped{0};  ///< put after the consumer had ended
  std::atomic<std::uint64_t> full{0};     ///< waits of the producer's lane that found it full
  std::atomic<std::uint64_t> empty{0};    ///< waits of the consumer's lane that found it empty
  std::atomic<std::uint64_t> gaps{0};     ///< taken in place of frames that an overflow policy has dropped
  std::atomic<std::uint64_t> left{0};     ///< of a queue inside the lane: still in it; of a ring: taken, but for nobody
  // While the lane is parked (ControlHeader::sleep): whether this is what it waits for.
  std::atomic<std::uint32_t> awaits_frame{0};
  std::atomic<std::uint32_t> awaits_room{0};
};

/// Of a lane's sleep: what may end it but frames and room, and whose it is.
struct SleepKind {
  static constexpr std::uint32_t timed = 1;    ///< it ends by itself
  static constexpr std::uint32_t outside = 2;  ///< a task waits for something that is not weir's
  static constexpr std::uint32_t in_poll = 4;  ///< one of its tasks sleeps in its poll, so that all do
  static constexpr std::uint32_t for_room = 8; ///< a queue that it waits for is full
};

struct ErrorRecord {
  std::atomic<std::uint32_t> set{0};  ///< released last
  std::uint32_t spare = 0;
  std::uint64_t frame = 0;
  char element[128] = {};
  char pad[256] = {};
  char type[256] = {};
  char text[3072] = {};
};

/// What a sandbox has refused: a system call, and the path where it was one to open or look at a file. Written by the
/// worker's process itself, which can only lie about it: the call has failed.
struct RefusedCall {
  std::atomic<std::uint32_t> call{0};  ///< its number + 1; 0: none yet
  std::atomic<std::uint32_t> times{0};
  char path[248] = {};
};
struct SandboxRecord {
  RefusedCall refused[8];
  std::atomic<std::uint32_t> others{0};  ///< times that something else was, when all of those were in use
};

inline constexpr std::uint64_t kControlMagic = 0x6c72746372696577;  // "weirctrl"

/// What two builds need to find out that they differ, and to say so. Never changes.
struct Prologue {
  std::uint64_t magic = kControlMagic;
  std::uint32_t layout_version = shm::kLayoutVersion;
  std::uint32_t header_bytes = 0;
  std::uint64_t build_id = 0;
  std::uint64_t total_bytes = 0;
  std::atomic<std::uint32_t> refused{0};  ///< worker → parent, released after the text
  char refusal[476] = {};
};
static_assert(sizeof(Prologue) == 512 && std::is_standard_layout_v<Prologue>);

struct alignas(shm::kLine) ControlHeader {
  Prologue prologue;
  std::uint64_t spec_bytes = 0;
  std::uint32_t workers = 0;
  std::uint32_t ends = 0;
  std::int32_t parent_pid = 0;

  alignas(shm::kLine) std::atomic<LaneState> state{LaneState::created};
  std::atomic<std::uint32_t> end_of_stream{0};  ///< parent → lane: sources shall end
  std::atomic<std::uint32_t> stop{0};           ///< parent → lane: leave now

  alignas(shm::kLine) std::atomic<std::uint64_t> first_frame_ns{0};  ///< CLOCK_MONOTONIC, at a sink of this lane
  std::atomic<std::uint64_t> last_eos_ns{0};
  std::atomic<std::uint64_t> sink_frames{0};
  std::atomic<std::uint64_t> parks{0};
  std::atomic<std::uint64_t> cpu_ns{0};
  std::atomic<std::uint32_t> waiting{0};  ///< lane → parent: it waits for frames, for room or for a time
  // For the notice of deadlocks (engine/deadlocks.cpp).
  std::atomic<std::uint32_t> sleep{0};       ///< lane → parent: the number of its sleep, odd while it is parked
  std::atomic<std::uint32_t> sleep_kind{0};  ///< lane → parent: bits of SleepKind
  std::atomic<std::uint32_t> watched{0};     ///< parent → lane: it looks by itself, so need not be told

  ErrorRecord error;
  LatencyHistogram latency;  ///< written by the lane before its state says ended
  SandboxRecord sandbox;
};
static_assert(std::is_standard_layout_v<ControlHeader>);

/// A control block as its segment holds it.
class Control {
 public:
  Control() = default;
  /// Makes one for a lane.
  static Control create(const LaneSpec& spec);
  /// Attaches to one by descriptor. Throws StartError that says what differs: layout version or build.
  static Control attach(int fd);

  [[nodiscard]] ControlHeader& header() const noexcept { return *segment_.at<ControlHeader>(0); }
  [[nodiscard]] WorkerControl& worker(std::size_t i) const noexcept { return workers_[i]; }
  [[nodiscard]] LinkCounters& counters(std::size_t end) const noexcept { return counters_[end]; }
  /// What the lane's process is to do; its own from the start. The parent tells it anew before another process starts.
  void tell(const LaneSpec& spec);
  [[nodiscard]] LaneSpec spec() const;
  [[nodiscard]] const shm::Segment& segment() const noexcept { return segment_; }

 private:
  void locate(std::uint32_t workers, std::uint32_t ends, std::size_t spec_bytes) noexcept;
  shm::Segment segment_;
  std::span<WorkerControl> workers_;
  std::span<LinkCounters> counters_;
  std::span<std::byte> spec_;
};

/// The same in every process that was built with this library; differs between builds whose memory may differ.
[[nodiscard]] std::uint64_t build_id() noexcept;

/// Tells the parent, through a control block that may be of another build, why this process will not work for it.
void refuse(int fd, const std::string& why) noexcept;

/// At most the field, whether or not it ends with a null; what no terminal should be sent becomes '?'.
[[nodiscard]] std::string text_in(std::span<const char> field);

/// What refuse() told, else nothing. Another process may have written anything there: it is text in any case.
[[nodiscard]] std::string refusal_in(const Prologue& prologue);

/// The first error of a lane; later ones are dropped. The record is readable once `set` is seen.
void record_error(ErrorRecord& record, const std::string& element, const std::string& pad, std::uint64_t frame,
                  const std::string& type, const std::string& text) noexcept;

struct RecordedError {
  std::string element, pad;
  std::uint64_t frame = 0;
  std::string type, text;
};
/// Takes it out of the record, once.
[[nodiscard]] std::optional<RecordedError> take_error(ErrorRecord& record);

}  // namespace weir::engine
