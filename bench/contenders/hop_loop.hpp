// The loop that every transport between two processes is measured with: 64 bytes there and back, one under
// way, the two ends pinned to two cores. An End has `send(const Message&)` and `receive(Message&)`, which
// wait in its own way.
#pragma once

#include "bench/batches.hpp"
#include "bench/isolate.hpp"
#include "bench/settings.hpp"
#include "bench/spsc_loops.hpp"

namespace weir::bench {

/// Round trips of a run: many for what takes some µs, fewer where the kernel wakes somebody each time.
inline constexpr std::uint64_t kFastHops = 100'000, kSlowHops = 5'000;

/// `make_near` and `make_far` make the ends, each in its process.
template <class MakeNear, class MakeFar>
Figures hop_round_trips(std::uint64_t count, const Settings& settings, MakeNear&& make_near,
                        MakeFar&& make_far) {
  count = settings.scaled(count);
  RoundTrips trips(count);
  beside(
      Mode::process,
      [&] {
        pin(settings.far);
        auto end = make_far();
        Message message;
        for (std::uint64_t n = 1; n <= count; ++n) {
          end.receive(message);
          end.send(message);
        }
      },
      [&] {
        pin(settings.near);
        auto end = make_near();
        Message message;
        for (std::uint64_t n = 1; n <= count; ++n) {
          message.sequence = n;
          trips.begin();
          end.send(message);
          end.receive(message);
          trips.end();
          if (message.sequence != n) throw RunFailed("a message came back changed");
        }
      });
  return trips.figures();
}

}  // namespace weir::bench
