// Frames that show what becomes of them, and rings over every storage; for the tests of rings.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include <fcntl.h>

#include <gtest/gtest.h>

#include "shm/ring.hpp"
#include "shm/segment.hpp"

namespace weir::shm {

using detail::Descriptor;
using Sharing = Segment::Sharing;

/// A frame whose every field but `home` follows from its number, so that a torn or mixed one shows.
inline Descriptor numbered(std::uint64_t n) {
  const std::uint64_t hash = (n + 1) * 0x9e3779b97f4a7c15u;
  Descriptor d{};
  d.sequence = n;
  d.time = static_cast<std::int64_t>(hash);
  d.origin = static_cast<std::uint32_t>(hash >> 7);
  d.type = static_cast<std::uint32_t>(hash >> 13);
  d.rate = static_cast<std::uint32_t>(hash >> 19);
  d.channels = static_cast<std::uint16_t>(hash >> 23);
  d.flags = static_cast<std::uint8_t>(hash >> 29);
  d.kind = static_cast<detail::Payload>(hash >> 31);
  d.metadata = ~hash;
  std::memcpy(d.scalar, &hash, sizeof hash);
  std::memcpy(d.scalar + sizeof hash, &d.metadata, sizeof d.metadata);
  return d;
}

inline bool is_numbered(const Descriptor& d, std::uint64_t n) {
  const Descriptor wanted = numbered(n);
  return std::memcmp(reinterpret_cast<const std::byte*>(&d) + sizeof d.home,
                     reinterpret_cast<const std::byte*>(&wanted) + sizeof d.home,
                     sizeof d - sizeof d.home) == 0;
}

/// Memory for a ring, as its producer and its consumer map it.
struct Storage {
  Storage(Sharing sharing, std::size_t frames, std::size_t spare = 0)
      : created(Segment::create(sharing, ring_bytes(frames) + spare, "ring test")), limit(frames) {
    create_ring(created.data(), frames);
    if (sharing == Sharing::shared)
      attached = Segment::attach(::fcntl(created.fd(), F_DUPFD_CLOEXEC, 0), created.size(), "ring test");
  }
  [[nodiscard]] RingHeader* here() const { return attach_ring(created.data(), created.size(), limit); }
  [[nodiscard]] RingHeader* there() const {
    return attached.data() ? attach_ring(attached.data(), attached.size(), limit) : here();
  }
  Segment created, attached;
  std::size_t limit;
};

template <class Kind>
class Ring : public testing::Test {
 protected:
  static constexpr Sharing kSharing = Kind::value;
};
struct StorageNames {
  template <class Kind>
  static std::string GetName(int) {
    return Kind::value == Sharing::shared ? "shared" : "private";
  }
};
using Storages = testing::Types<std::integral_constant<Sharing, Sharing::private_memory>,
                                std::integral_constant<Sharing, Sharing::shared>>;

}  // namespace weir::shm
