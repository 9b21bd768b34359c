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

/// Maps the part by `map(place, bytes)`.
template <class Map>
Segment take(Place& place, std::size_t bytes, Map&& map) {
  Segment part = map(place.next(), bytes);
  place.taken(bytes);
  return part;
}

constexpr std::size_t second_part(std::size_t limit) {
  return (ring_bytes(limit) - 1) / kRingPart * kRingPart;  // whole pages
}

}  // namespace

RingSegment RingSegment::create(Segment::Sharing sharing, std::size_t limit) {
  RingSegment ring;
  if (sharing == Segment::Sharing::private_memory) {
    ring.parts_[0] = Segment::create(sharing, ring_bytes(limit), "ring");
  } else {
    Place place(kRingPart + second_part(limit));
    const auto make = [&](void* at, std::size_t bytes) {
      return Segment::create(sharing, bytes, "ring", PageKind::normal, at);
    };
    ring.parts_ = {take(place, kRingPart, make), take(place, second_part(limit), make)};
  }
  create_ring(ring.data(), limit);
  return ring;
}

RingSegment RingSegment::attach(const Descriptors& fds, std::size_t limit, Side side, std::string_view what) {
  Place place(kRingPart + second_part(limit));
  const auto attach_part = [&](int fd, Side writer) {
    return [&, fd, writer](void* at, std::size_t bytes) {
      return Segment::attach_at(at, fd, bytes, what,
                                writer == side ? Segment::Access::read_write : Segment::Access::read_only);
    };
  };
  RingSegment ring;
  ring.parts_ = {take(place, kRingPart, attach_part(fds[0], Side::consumer)),
                 take(place, second_part(limit), attach_part(fds[1], Side::producer))};
  return ring;
}

}  // namespace weir::shm
