// Report: what a run did, link by link and element by element. A plain value; valid after the run has ended.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "weir/element.hpp"
#include "weir/export.hpp"
#include "weir/overflow.hpp"
#include "weir/stop_report.hpp"

namespace weir {

/// How long frames took, in a histogram of logarithmic buckets (16 per octave, so within 6.25 %).
class WEIR_API LatencyHistogram {
 public:
  static constexpr int kBuckets = 560;  // up to 2^38 ns, 274 s: what the stamps of frames can tell
  void add(std::uint64_t nanoseconds) noexcept { ++counts_[bucket(nanoseconds)], ++total_; }
  void merge(const LatencyHistogram& other) noexcept;
  [[nodiscard]] std::uint64_t count() const noexcept { return total_; }
  /// Upper bound of the bucket that holds this quantile (0…1), in ns; 0 if empty.
  [[nodiscard]] std::uint64_t quantile(double q) const noexcept;
  [[nodiscard]] std::uint64_t max() const noexcept { return quantile(1.0); }

 private:
  static unsigned bucket(std::uint64_t ns) noexcept;
  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t total_ = 0;
};

/// What became of the frames of one link: produced = delivered + dropped by policy + dropped + left + lost.
struct LinkReport {
  std::string source;  ///< full names of the two pads
  std::string sink;
  std::string kind;    ///< "main lane", "same lane", "thread ring", "process ring"
  std::size_t capacity = 0;
  Overflow overflow = Overflow::block;
  std::uint64_t produced = 0;
  std::uint64_t delivered = 0;
  std::uint64_t dropped_by_policy = 0;  ///< as `overflow` says, when there was no room
  std::uint64_t dropped = 0;        ///< put when the consumer had ended, or not put any more when the producer had
  std::uint64_t left = 0;           ///< still queued when the run ended
  std::uint64_t lost = 0;           ///< queued for, or taken by, a worker whose process then crashed or was killed
  std::uint64_t gaps = 0;           ///< gaps that were delivered beside, in place of what was dropped by policy
  std::uint64_t dropped_samples = 0;  ///< items per channel that were dropped by policy
  std::uint64_t samples = 0;        ///< items per channel that were delivered
  std::uint64_t payload_copies = 0; ///< frames whose payload had to be copied to cross
  std::uint64_t full = 0;           ///< times that the producer's lane waited and this had no room
  std::uint64_t empty = 0;          ///< times that the consumer's lane waited and this had no frame
  [[nodiscard]] bool balances() const noexcept { return produced == delivered + dropped_by_policy + dropped + left + lost; }
};

/// A worker's process that died, and in whose place another was started.
struct RestartReport {
  pid_t pid = 0;
  int signal = 0;       ///< 0: it exited by itself
  int exit_status = 0;
  std::string error;    ///< the exception that left its poll, if it died of one
  double seconds = 0;   ///< from start()
  /// When those that wait for it had been woken. What it had committed was done then.
  std::chrono::steady_clock::time_point neighbours_woken{};
};

/// A frame that killed each worker which took it, and was set aside; a gap took its place.
struct DeadLetterReport {
  std::string pad;           ///< full name
  std::uint64_t number = 0;  ///< of the frame at its pad, from 0
  std::int64_t time = 0;     ///< the frame's
  std::string cause;         ///< how the worker died last
  std::string file;          ///< where it is (weir/dead_letters.hpp)
};

struct ElementReport {
  std::string name;
  std::string type;
  Mode mode = Mode::main;
  std::string lane;         ///< "main", "thread 1", "process 2"
  pid_t pid = 0;            ///< of its process lane, else 0
  std::uint64_t polls = 0;  ///< polls of its worker
  bool ended = false;       ///< its stream was over, by itself
  bool killed = false;      ///< because it did not come back by the deadline
  std::vector<RestartReport> restarts;  ///< in their order
  /// What its sandbox refused, as the worker's process itself has noted it: "openat '/etc/passwd'", "socket, 3 times".
  std::vector<std::string> refused;
  std::vector<DeadLetterReport> dead_letters;  ///< in their order
};

struct LaneReport {
  std::string name;
  double cpu_seconds = 0;  ///< user and system
  std::uint64_t parks = 0; ///< times it went to sleep
};

/// The lane that bound the throughput: the others waited for it, for room before it or for frames behind it.
struct Bottleneck {
  std::string lane;
  std::vector<std::string> elements;  ///< whose work it did
  std::uint64_t waited_for = 0;       ///< times that others did
  std::uint64_t waited = 0;           ///< times that it did itself
};

/// The queue that bound the throughput: its ends waited for each other again and again. A larger one would help.
struct TightQueue {
  std::string source;  ///< full names of the two pads
  std::string sink;
  std::size_t capacity = 0;
  std::uint64_t full = 0;   ///< times that the producer's lane waited for room
  std::uint64_t empty = 0;  ///< times that the consumer's lane waited for a frame
};

struct Report {
  bool completed = false;  ///< ran to the end of all streams, without error or stop
  double seconds = 0;                ///< from start() to the end
  double seconds_to_first_frame = 0; ///< from start() until a sink had its first frame; 0 if none had
  double seconds_after_last = 0;     ///< from the last sink's EOS to the end
  double cpu_seconds = 0;            ///< of all lanes
  std::uint64_t frames = 0;          ///< delivered to sinks
  std::uint64_t samples = 0;         ///< items per channel that sources gave and a queue took
  std::vector<LinkReport> links;
  std::vector<ElementReport> elements;
  std::vector<LaneReport> lanes;
  std::optional<Bottleneck> bottleneck;  ///< nothing where no lane stood out
  std::optional<TightQueue> tight_queue; ///< nothing where a lane bound the run, or nothing did
  std::optional<StopReport> stop;    ///< nothing where the run came to its end unasked
  LatencyHistogram latency;          ///< source to sink; empty unless Options::measure_latency
  std::vector<std::string> warnings; ///< what could not be had (HugePages::attempt), and links that dropped frames
  std::vector<std::string> errors;   ///< all of them; the first was thrown
  [[nodiscard]] bool balances() const noexcept {
    for (const auto& link : links)
      if (!link.balances()) return false;
    return true;
  }
};

}  // namespace weir
