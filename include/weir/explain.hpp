// Explanation: where everything of a pipeline would lie, and why, before anything runs. A plain value.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "weir/element.hpp"
#include "weir/export.hpp"
#include "weir/overflow.hpp"
#include "weir/placement.hpp"

namespace weir {

struct LinkExplanation {
  std::string source;  ///< full names of the two pads
  std::string sink;
  std::string kind;    ///< as in LinkReport: "main lane", "same lane", "thread ring", "process ring"
  std::size_t capacity = 0;    ///< frames; 0 where nothing is queued
  std::size_t ring_bytes = 0;  ///< of memory that the ring takes; 0 where there is none
  Wait wait = Wait::adaptive;  ///< how the side that takes from it waits
  std::string why;
  Overflow overflow = Overflow::block;  ///< what becomes of frames that find it full
  std::optional<double> frame_rate = {};  ///< frames a second (Element::frame_rate), where that is known
};

struct LaneExplanation {
  std::string name;     ///< as in LaneReport: "main", "thread 1", "process 2"
  std::string runs_on;  ///< "the caller's thread", "worker thread 1", "a process"
  std::vector<std::string> elements;  ///< whose work it does
  Cpus cpus;
  int realtime = 0;
  Wait wait = Wait::adaptive;
  std::string why;
};

struct Explanation {
  std::vector<LinkExplanation> links;
  std::vector<LaneExplanation> lanes;
  std::vector<std::string> warnings;  ///< queues that can be seen to be too small
};

}  // namespace weir
