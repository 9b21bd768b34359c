// Where tests of whole runs put their workers: on the main lane, in threads or processes of their own, or all on one.
#pragma once

#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "watch.hpp"
#include "weir/weir.hpp"

namespace weir::test {

struct Place {
  const char* name;
  Mode mode;
  bool one_lane;  // all workers share a lane
};
inline void PrintTo(const Place& place, std::ostream* out) { *out << place.name; }
inline std::string name_of_place(const testing::TestParamInfo<Place>& place) { return place.param.name; }
inline const auto kAllPlaces =
    testing::Values(Place{"main", Mode::main, false}, Place{"threads", Mode::thread, false},
                    Place{"one_thread", Mode::thread, true}, Place{"processes", Mode::process, false},
                    Place{"one_process", Mode::process, true});

/// A pipeline whose workers are placed as the parameter says; what runs longer than the watchdog's time has hung.
class Placed : public testing::TestWithParam<Place> {
 protected:
  ElementOptions place(std::string name, std::vector<std::string> sinks, std::vector<std::string> sources,
                       std::size_t queue = 100, Dict arguments = {}) {
    ElementOptions options{.name = std::move(name),
                           .sink_pads = std::move(sinks),
                           .source_pads = std::move(sources),
                           .queue_maxsize = queue,
                           .worker_argdict = std::move(arguments)};
    if (GetParam().one_lane) options.lane = 1;
    return options;
  }
  Options options() const {
    Options options;
    options.mode = GetParam().mode;
    return options;
  }
  /// Runs to the end and expects an exact ledger.
  Report run() {
    Parallelize parallelize(pipeline_, options());
    parallelize.run();
    const Report& report = parallelize.report();
    EXPECT_TRUE(report.completed);
    for (const auto& link : report.links)
      EXPECT_TRUE(link.balances()) << link.source << " > " << link.sink << ": " << link.produced << " produced, "
                                   << link.delivered << " delivered, " << link.dropped << " dropped, " << link.left
                                   << " left";
    return report;
  }

 private:
  Watchdog watchdog_{30s};  // before the pipeline: it watches its end, too

 protected:
  Pipeline pipeline_;
};

inline const LinkReport& link_to(const Report& report, const std::string& sink) {
  for (const auto& link : report.links)
    if (link.sink == sink) return link;
  throw std::out_of_range(sink);
}

}  // namespace weir::test
