// weir's ring as a Link of bench/spsc_loops.hpp: two ends of one segment, private or shared. What the loops
// call a message is the frame's descriptor; its first word is the ring's own, so 56 of its 64 bytes are the
// user's.
#pragma once

#include <cstddef>
#include <cstring>

#include "bench/spsc_loops.hpp"
#include "shm/ring.hpp"
#include "shm/segment.hpp"

namespace weir::bench {

class RingLink {
  static constexpr std::size_t kUserBytes =
      sizeof(detail::Descriptor) - offsetof(detail::Descriptor, sequence);

 public:
  explicit RingLink(Mode mode)
      : segment_(shm::Segment::create(
            mode == Mode::process ? shm::Segment::Sharing::shared : shm::Segment::Sharing::private_memory,
            shm::ring_bytes(kCapacity), "bench ring")),
        header_(shm::create_ring(segment_.data(), kCapacity)) {}

  class Writer {
   public:
    explicit Writer(shm::RingHeader* header) : ring_(header) {}
    bool put(const Message& message) {
      if (!ring_.has_room()) return false;
      detail::Descriptor frame{};
      std::memcpy(&frame.sequence, &message, kUserBytes);
      ring_.put(frame);
      return true;
    }

   private:
    shm::RingWriter ring_;
  };

  class Reader {
   public:
    explicit Reader(shm::RingHeader* header) : ring_(header) {}
    /// As a lane does it: taken slots go back when enough of them are due, or when the ring is dry.
    bool take(Message& message) {
      if (!ring_.has_frame()) {
        ring_.release();
        return false;
      }
      detail::Descriptor frame{};
      if (ring_.take(frame)) ring_.release();
      std::memcpy(static_cast<void*>(&message), &frame.sequence, kUserBytes);
      return true;
    }

   private:
    shm::RingReader ring_;
  };

  Writer writer() { return Writer(header_); }
  Reader reader() { return Reader(header_); }

 private:
  shm::Segment segment_;
  shm::RingHeader* header_;
};

}  // namespace weir::bench
