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

/// A message but for the second of its 8 words, in whose place the ring has its own, as the user's 56 bytes of a
/// descriptor; and back. In the pieces in which the ring copies those, at the same offsets.
inline void put_into(detail::Descriptor& frame, const Message& message) noexcept {
  frame.sequence = message.sequence;
  std::memcpy(static_cast<void*>(&frame.time), &message.payload[1], 16);
  std::memcpy(static_cast<void*>(&frame.rate), &message.payload[3], 16);
  std::memcpy(frame.scalar, &message.payload[5], 8);
  std::memcpy(frame.scalar + 8, &message.payload[6], 8);
}
inline void take_from(const detail::Descriptor& frame, Message& message) noexcept {
  message.sequence = frame.sequence;
  std::memcpy(&message.payload[1], static_cast<const void*>(&frame.time), 16);
  std::memcpy(&message.payload[3], static_cast<const void*>(&frame.rate), 16);
  std::memcpy(&message.payload[5], frame.scalar, 8);
  std::memcpy(&message.payload[6], frame.scalar + 8, 8);
}

class RingLink {
 public:
  explicit RingLink(Mode mode)
      : segment_(shm::Segment::create(
            mode == Mode::process ? shm::Segment::Sharing::shared : shm::Segment::Sharing::private_memory,
            shm::ring_bytes(kCapacity), "bench ring")),
        header_(shm::create_ring(segment_.data(), kCapacity)) {}

  class Writer {
   public:
    explicit Writer(shm::RingHeader* header) : ring_(header, kCapacity) {}
    bool put(const Message& message) {
      const auto slots = ring_.claim(1);
      if (slots.empty()) return false;
      put_into(slots.front(), message);
      ring_.publish(1);
      return true;
    }
    /// Puts messages numbered from `n`, up to `most`, with one claim; returns how many.
    std::size_t put_some(std::uint64_t n, std::size_t most) {
      const auto slots = ring_.claim(most);
      for (shm::Slot& slot : slots) {
        Message message;
        number(message, n++);
        put_into(slot, message);
        ring_.publish(1);  // at once: the consumer's core may be about to take the line
      }
      return slots.size();
    }

   private:
    shm::RingWriter ring_;
  };

  class Reader {
   public:
    explicit Reader(shm::RingHeader* header) : ring_(header, kCapacity) {}
    /// As a lane does it: taken slots go back when enough of them are due, or when the ring is dry.
    bool take(Message& message) {
      if (!ring_.has_frame()) {
        ring_.release();
        return false;
      }
      take_from(ring_.front(), message);
      if (ring_.pop()) ring_.release();
      return true;
    }
    /// Takes up to `most` messages with one peek, each by `each(message)`; returns how many.
    template <class Each>
    std::size_t take_some(std::size_t most, Each&& each) {
      const auto slots = ring_.peek(most);
      for (const shm::Slot& slot : slots) {
        Message message;
        take_from(slot, message);
        each(message);
      }
      if (ring_.pop(slots.size()) || slots.empty()) ring_.release();
      return slots.size();
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
