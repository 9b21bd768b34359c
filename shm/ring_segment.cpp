#include "shm/ring_segment.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include <sys/mman.h>

#include "weir/error.hpp"

namespace weir::shm {

namespace {

/// Addresses for two parts side by side. What no part has been mapped over is given back.
class Place {
 public:
  explicit Place(std::size_t bytes) : bytes_(bytes) {
    void* p = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw StartError(std::string("can't map a ring: ") + std::strerror(errno));
    next_ = static_cast<std::byte*>(p);
  }
  ~Place() {
    if (bytes_ != 0) ::munmap(next_, bytes_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  [[nodiscard]] void* next() const noexcept { return next_; }
  void taken(std::size_t bytes) noexcept { next_ += bytes, bytes_ -= bytes; }

 private:
  std::byte* next_;
  std::size_t bytes_;
};

using Side = RingSegment::Side;

struct Part {
  std::size_t bytes;
  Side writer;
};
std::vector<Part> parts_of(std::size_t limit, RingSegment::Kind kind) {
  const bool overflows = kind == RingSegment::Kind::overflows;
  const std::size_t bytes = overflows ? overflow_bytes(limit) - kRingPart : ring_bytes(limit);
  const std::size_t last = (bytes - 1) / kRingPart * kRingPart;  // whole pages
  std::vector<Part> parts{{kRingPart, Side::consumer}, {last, Side::producer}};
  if (overflows) parts.insert(parts.begin(), {kRingPart, Side::both});
  return parts;
}

/// Maps the parts by `map(place, part)`.
template <class Map>
std::vector<Segment> map_parts(const std::vector<Part>& parts, Map&& map) {
  std::size_t bytes = 0;
  for (const Part& part : parts) bytes += part.bytes;
  Place place(bytes);
  std::vector<Segment> segments;
  for (const Part& part : parts) {
    segments.push_back(map(place.next(), part));
    place.taken(part.bytes);
  }
  return segments;
}

}  // namespace

RingSegment RingSegment::create(Segment::Sharing sharing, std::size_t limit, Kind kind) {
  RingSegment ring;
  if (sharing == Segment::Sharing::private_memory) {
    const std::size_t bytes = kind == Kind::overflows ? overflow_bytes(limit) : ring_bytes(limit);
    ring.parts_.push_back(Segment::create(sharing, bytes, "ring"));
  } else {
    ring.parts_ = map_parts(parts_of(limit, kind), [&](void* at, const Part& part) {
      return Segment::create(sharing, part.bytes, "ring", PageKind::normal, at);
    });
  }
  if (kind == Kind::overflows) create_overflow_ring(ring.data(), limit);
  else create_ring(ring.data(), limit);
  return ring;
}

RingSegment RingSegment::attach(int& fd, std::size_t limit, Kind kind, Side side, std::string_view what) {
  RingSegment ring;
  ring.parts_ = map_parts(parts_of(limit, kind), [&](void* at, const Part& part) {
    const bool writes = part.writer == side || part.writer == Side::both || side == Side::both;
    return Segment::attach_at(at, ++fd, part.bytes, what,
                              writes ? Segment::Access::read_write : Segment::Access::read_only);
  });
  return ring;
}

std::size_t RingSegment::size() const noexcept {
  std::size_t bytes = 0;
  for (const Segment& part : parts_) bytes += part.size();
  return bytes;
}

std::vector<int> RingSegment::fds() const {
  std::vector<int> fds;
  for (const Segment& part : parts_) fds.push_back(part.fd());
  return fds;
}

}  // namespace weir::shm
