#include "engine/memory.hpp"

#include <algorithm>
#include <iterator>

#include <fcntl.h>

#include "engine/journal.hpp"
#include "weir/error.hpp"

namespace weir::engine {

namespace {

// The one place that says which segments a lane needs and in what order their descriptors stand.
template <class Bell, class Ring, class Arena, class Journal, class Block>
void for_each_segment(const LaneSpec& spec, Bell&& bell, Ring&& ring, Arena&& arena, Journal&& journal, Block&& block) {
  bell(spec.lane, kNone);
  for (const std::uint32_t ringer : spec.ringers) bell(spec.lane, ringer);
  for (const Neighbour& neighbour : spec.neighbours) bell(neighbour.lane, neighbour.own_bell ? spec.lane : kNone);
  for (const LinkEnd& end : spec.ends)
    if (end.has_ring()) ring(end);
  for (std::uint32_t lane : spec.arenas) arena(lane);
  if (spec.journal) journal(spec.lane);
  for (std::size_t i = 0; i < spec.shared_blocks.size(); ++i) block(i);
}

shm::Segment attach_arena(const LaneSpec& spec, std::uint32_t owner, int fd) {
  shm::Segment arena = shm::Segment::attach(fd, shm::arena_bytes(spec.arena_limit), "arena", spec.arena_pages);
  if (const std::uint64_t bytes = spec.prefaulted(owner)) arena.populate(0, bytes);
  return arena;
}

shm::RingSegment attach_ring(const LinkEnd& end, int& fd) {
  using enum shm::RingSegment::Side;
  using enum shm::RingSegment::Kind;
  return shm::RingSegment::attach(fd, end.capacity, end.overflow == Overflow::block ? blocks : overflows,
                                  !end.consumes ? producer : !end.produces ? consumer : both, "ring of " + end.sink);
}

/// The kind's map.
auto& rings_of(auto& memory, const LinkEnd& end) {
  return end.overflow == Overflow::block ? memory.rings : memory.overflow_rings;
}

}  // namespace

Memory Memory::attach(const LaneSpec& spec) {
  Memory memory;
  int fd = kControlFd;
  const auto next = [&](std::size_t bytes, const std::string& what) {
    return shm::Segment::attach(++fd, bytes, what);
  };
  for_each_segment(
      spec,
      [&](std::uint32_t lane, std::uint32_t ringer) {
        (ringer == kNone ? memory.bells[lane] : memory.ringers_bells[{lane, ringer}]) = next(sizeof(shm::Bell), "bell");
      },
      [&](const LinkEnd& end) { rings_of(memory, end)[end.link] = attach_ring(end, fd); },
      [&](std::uint32_t lane) { memory.arenas[lane] = attach_arena(spec, lane, ++fd); },
      [&](std::uint32_t lane) { memory.journals[lane] = next(JournalView::bytes(spec), "journal"); },
      [&](std::size_t i) {
        memory.shared_blocks.push_back(next(std::max<std::uint64_t>(spec.shared_blocks[i].bytes, 1), "shared block " + spec.shared_blocks[i].name));
      });
  memory.look_fd = ++fd;
  ::fcntl(memory.look_fd, F_SETFD, FD_CLOEXEC);
  return memory;
}

std::vector<int> Memory::descriptors(const LaneSpec& spec) const {
  std::vector<int> fds;
  for_each_segment(
      spec,
      [&](std::uint32_t lane, std::uint32_t ringer) {
        fds.push_back((ringer == kNone ? bells.at(lane) : ringers_bells.at({lane, ringer})).fd());
      },
      [&](const LinkEnd& end) { std::ranges::copy(rings_of(*this, end).at(end.link).fds(), std::back_inserter(fds)); },
      [&](std::uint32_t lane) { fds.push_back(arenas.at(lane).fd()); },
      [&](std::uint32_t lane) { fds.push_back(journals.at(lane).fd()); },
      [&](std::size_t i) { fds.push_back(shared_blocks.at(i).fd()); });
  fds.push_back(look_fd);
  return fds;
}

std::vector<const shm::Segment*> Memory::segments() const {
  std::vector<const shm::Segment*> all;
  for (const auto* kind : {&bells, &arenas, &journals})
    for (const auto& [number, segment] : *kind) all.push_back(&segment);
  for (const auto& [lanes, bell] : ringers_bells) all.push_back(&bell);
  for (const auto* kind : {&rings, &overflow_rings})
    for (const auto& [link, ring] : *kind)
      for (const shm::Segment& part : ring.parts()) all.push_back(&part);
  for (const shm::Segment& segment : shared_blocks) all.push_back(&segment);
  return all;
}

shm::Bell* Memory::bell(std::uint32_t lane) const { return bells.at(lane).at<shm::Bell>(0); }

shm::Bell* Memory::bell_to_ring(const LaneSpec& spec, std::uint32_t lane) const {
  const auto it = std::ranges::find(spec.neighbours, lane, &Neighbour::lane);
  if (it == spec.neighbours.end() || !it->own_bell) return bell(lane);
  return ringers_bells.at({lane, spec.lane}).at<shm::Bell>(0);
}

std::vector<shm::Bell*> Memory::bells_of(const LaneSpec& spec) const {
  std::vector<shm::Bell*> all{bell(spec.lane)};
  for (const std::uint32_t ringer : spec.ringers) all.push_back(ringers_bells.at({spec.lane, ringer}).at<shm::Bell>(0));
  return all;
}

namespace {
template <class Header>
Header* checked(Header* header, const LinkEnd& end) {
  if (!header) throw StartError("the queue from '" + end.source + "' to '" + end.sink +
                     "' holds no ring of this layout: one of the two has written over it");
  return header;
}
}  // namespace

shm::RingHeader* Memory::ring(const LinkEnd& end) const {
  if (end.overflow != Overflow::block) return &overflow_ring(end)->ring;
  return checked(rings.at(end.link).ring(end.capacity), end);
}

shm::OverflowHeader* Memory::overflow_ring(const LinkEnd& end) const {
  return checked(overflow_rings.at(end.link).overflow_ring(end.capacity), end);
}

std::size_t ring_bytes_of(std::size_t capacity, Overflow overflow) noexcept {
  return overflow == Overflow::block ? shm::ring_bytes(capacity) : shm::overflow_bytes(capacity);
}

}  // namespace weir::engine
