// Contender: what a user would pick instead of weir. Each is one file here that is compiled where CMake finds
// its package; one that is missing is named. All that a row needs of a contender are functions that run it
// once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <weir/element.hpp>

#include "bench/isolate.hpp"
#include "bench/settings.hpp"

namespace weir::bench {

/// What can be measured of a contender, and in which unit.
enum class Ability {
  queue_round_trip,  ///< ns for 64 bytes there and back, one under way
  queue_throughput,  ///< 64-byte messages/s
  hop_round_trip,    ///< ns, between two processes; RoundTrips::figures()
  chain_throughput,  ///< frames/s through source, four stages, sink
};

struct Measurement {
  Ability ability;
  std::string variant;  ///< how it was set up, where there are several ways
  std::optional<Mode> mode;
  Figures (*run)(const Settings&);
};

struct Contender {
  std::string name;
  std::string package;  ///< Debian's
  bool found = false;
  std::vector<Measurement> measurements = {};
};

/// All, those that are missing as well.
[[nodiscard]] const std::vector<Contender>& contenders();

}  // namespace weir::bench
