// LaneSpec: all that one lane needs to know to be built, as plain data. The plan makes one per lane; a thread's is
// handed over, a process's is encoded into its control block and decoded there, so both are built by the same code.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shm/doorbell.hpp"
#include "shm/segment.hpp"
#include "weir/dict.hpp"
#include "weir/element.hpp"
#include "weir/overflow.hpp"
#include "weir/parallelize.hpp"
#include "weir/worker.hpp"

namespace weir::engine {

inline constexpr std::uint32_t kNone = 0xffffffff;
inline constexpr std::uint32_t kMainLane = 0;  ///< the pipeline's own loop

/// One end, or both, of a link in this lane.
struct LinkEnd {
  std::uint32_t link = 0;       ///< number in the plan
  bool produces = false;        ///< the producer is in this lane
  bool consumes = false;        ///< the consumer is in this lane; both: a queue inside the lane
  bool crosses_process = false; ///< the other end is in another process
  std::uint32_t capacity = 0;
  std::uint32_t peer_lane = kNone;  ///< lane of the other end
  std::string source, sink;         ///< full pad names
  bool by_hand = false;      ///< between an element and its worker: it may end without an EOS frame
  bool from_source = false;  ///< the producing pad is a source element's: frames are numbered and stamped
  bool marks = false;        ///< the consumer's lane keeps a journal: it holds blocks by marks
  bool to_sink = false;      ///< the consuming pad is a sink element's: frames are counted and timed
  Overflow overflow = Overflow::block;
  [[nodiscard]] bool inside_lane() const noexcept { return produces && consumes; }
  /// Whether its frames lie in a segment, and not in a queue that is the lane's own.
  [[nodiscard]] bool has_ring() const noexcept { return !inside_lane() || overflow != Overflow::block; }
};

struct WorkerSpec {
  std::string element;
  std::string worker_name;  ///< as registered with WEIR_WORKER; how a process finds the function
  WorkerFunction function = nullptr;  ///< not encoded
  bool is_source = false;
  std::vector<std::string> sink_pads, source_pads;
  std::vector<std::uint32_t> inlets;                ///< per queue in: its link
  std::vector<std::vector<std::uint32_t>> outlets;  ///< per queue out: its links
  Dict argdict;
};

/// A lane whose bell this one rings.
struct Neighbour {
  std::uint32_t lane = kNone;
  bool own_bell = false;  ///< one that nobody else rings; see LaneSpec::ringers
  bool operator==(const Neighbour&) const = default;
};

struct SharedBlockSpec {
  std::string name;
  std::uint64_t bytes = 0;
  Dict metadata;
};

struct LaneSpec {
  std::uint32_t lane = 0;
  Mode mode = Mode::main;
  std::string name;  ///< "main", "thread 1", "process 2"
  std::vector<WorkerSpec> workers;
  std::vector<LinkEnd> ends;
  std::vector<Neighbour> neighbours;
  /// Lanes in processes that have a bell of their own to ring here, which no other process can write to: who keeps one
  /// from ringing harms nobody's links but its own. All others ring the one that the parent rings.
  std::vector<std::uint32_t> ringers;
  std::vector<std::uint32_t> arenas;      ///< lanes whose blocks it may see, itself first
  std::vector<SharedBlockSpec> shared_blocks;
  std::vector<std::string> modules;
  std::uint64_t arena_limit = 0;
  shm::PageKind arena_pages = shm::PageKind::normal;
  std::uint64_t prefault = 0;  ///< bytes of each arena that have pages from the start; see prefaulted()
  bool lock_memory = false;
  bool journal = false;        ///< what its worker does takes effect by commits (engine/journal.hpp)
  Delivery delivery = Delivery::exactly_once;  ///< of its worker; with a journal
  std::uint64_t stall_ns = 0;  ///< what one of its polls may take before it is taken for hung; 0: any time
  std::uint64_t state_limit = 0;  ///< bytes set aside for each copy of its worker's state; with a journal
  shm::Barrier barrier = shm::Barrier::fence;
  Wait wait = Wait::adaptive;
  double spin_share = 1;  ///< of the wall time, that adaptive waits may spin in vain
  Cpus cpus;  ///< that its thread or process runs on; empty: any
  std::uint32_t priority = 0;  ///< of SCHED_FIFO; 0: scheduled as usual
  bool sandbox = false;  ///< its process does nothing beside its work (engine/sandbox.hpp)
  std::vector<std::string> sandbox_reads;  ///< but read these files
  bool measure_latency = false;
  bool several_processes = false;
  bool crowded = false;  ///< more lanes than CPUs, or than the quota pays

  /// Of the arena of `owner`, one of `arenas`: those of other lanes are here because their blocks come here. What
  /// puts nothing on a link lends little.
  [[nodiscard]] std::uint64_t prefaulted(std::uint32_t owner) const noexcept {
    return owner != lane || lane == kMainLane || std::ranges::any_of(ends, &LinkEnd::produces) ? prefault : 0;
  }
  [[nodiscard]] std::vector<std::byte> encode() const;
  /// Checks every length; throws StartError on garbage.
  static LaneSpec decode(std::span<const std::byte> bytes);
};

}  // namespace weir::engine
