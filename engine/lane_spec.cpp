#include "engine/lane_spec.hpp"

#include <type_traits>

#include "engine/wire.hpp"

namespace weir::engine {

namespace {

// One description of the fields serves writing and reading: `Archive` is WireWriter or WireReader.
template <class Archive, class T>
void archive(Archive& wire, T& value);

template <class Archive, class T>
void archive_list(Archive& wire, std::vector<T>& list) {
  auto size = static_cast<std::uint32_t>(list.size());
  wire(size);
  if constexpr (std::is_same_v<Archive, WireReader>) {
    if (size > wire.left()) throw Error("a list is longer than the data it is in");
    list.clear();
    while (list.size() < size) archive(wire, list.emplace_back());  // grows as the data goes on, not as it says
  } else {
    for (T& item : list) archive(wire, item);
  }
}

template <class Archive>
void archive_dict(Archive& wire, Dict& dict) {
  std::vector<std::uint8_t> bytes;
  if constexpr (std::is_same_v<Archive, WireWriter>) {
    for (std::byte b : dict.encode()) bytes.push_back(static_cast<std::uint8_t>(b));
    archive_list(wire, bytes);
  } else {
    archive_list(wire, bytes);
    dict = Dict::decode(std::as_bytes(std::span(bytes)));
  }
}

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class Archive, class T>
void archive(Archive& wire, T& value) {
  if constexpr (IsVector<T>::value) {
    archive_list(wire, value);
  } else if constexpr (std::is_same_v<T, Dict>) {
    archive_dict(wire, value);
  } else if constexpr (std::is_same_v<T, LinkEnd>) {
    wire(value.link), wire(value.produces), wire(value.consumes), wire(value.crosses_process), wire(value.capacity);
    wire(value.peer_lane), wire(value.source), wire(value.sink), wire(value.from_source), wire(value.to_sink);
    wire(value.by_hand), wire(value.marks), wire(value.overflow);
  } else if constexpr (std::is_same_v<T, WorkerSpec>) {
    wire(value.element), wire(value.worker_name), wire(value.is_source);
    archive(wire, value.sink_pads), archive(wire, value.source_pads);
    archive(wire, value.inlets), archive(wire, value.outlets), archive(wire, value.argdict);
  } else if constexpr (std::is_same_v<T, Neighbour>) {
    wire(value.lane), wire(value.own_bell);
  } else if constexpr (std::is_same_v<T, SharedBlockSpec>) {
    wire(value.name), wire(value.bytes), archive(wire, value.metadata);
  } else if constexpr (std::is_same_v<T, LaneSpec>) {
    wire(value.lane), wire(value.mode), wire(value.name);
    archive(wire, value.workers), archive(wire, value.ends), archive(wire, value.neighbours);
    archive(wire, value.ringers);
    archive(wire, value.arenas), archive(wire, value.shared_blocks), archive(wire, value.modules);
    wire(value.arena_limit), wire(value.barrier), wire(value.wait), wire(value.measure_latency);
    archive(wire, value.cpus), wire(value.priority), wire(value.spin_share);
    wire(value.several_processes), wire(value.crowded);
    wire(value.arena_pages), wire(value.prefault), wire(value.lock_memory);
    wire(value.journal), wire(value.state_limit), wire(value.delivery), wire(value.stall_ns);
    wire(value.sandbox), archive(wire, value.sandbox_reads);
  } else {
    wire(value);
  }
}

}  // namespace

std::vector<std::byte> LaneSpec::encode() const {
  WireWriter wire;
  archive(wire, const_cast<LaneSpec&>(*this));  // only read while writing
  return wire.take();
}

LaneSpec LaneSpec::decode(std::span<const std::byte> bytes) {
  WireReader wire(bytes);
  LaneSpec spec;
  try {
    archive(wire, spec);
    if (wire.left() != 0) throw Error(std::to_string(wire.left()) + " bytes follow its end");
    if (spec.mode > Mode::process || spec.barrier > shm::Barrier::global || spec.wait > Wait::park ||
        spec.arena_pages > shm::PageKind::reserved || spec.delivery > Delivery::at_most_once)
      throw Error("it has a mode, barrier, wait, delivery or kind of page that does not exist");
    if (std::ranges::any_of(spec.ends, [](const LinkEnd& end) { return end.overflow > Overflow::fail; }))
      throw Error("it has an overflow that does not exist");
    if (!(spec.spin_share >= 0 && spec.spin_share <= 1)) throw Error("it spins for more time than there is");
  } catch (const Error& error) {
    throw StartError(std::string("the control block's description of the lane can't be read: ") + error.what());
  }
  return spec;
}

}  // namespace weir::engine
