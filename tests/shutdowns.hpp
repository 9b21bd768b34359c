// What tests of a run's orderly end share: each in all three modes, and what was left on the links.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "watch.hpp"
#include "weir/weir.hpp"

namespace weir::test {

class Shutdown : public LeavesNothing, public testing::WithParamInterface<Mode> {
 protected:
  Parallelize make_run(Pipeline& pipeline, Options options = {}) {
    options.mode = GetParam();
    return Parallelize(pipeline, std::move(options));
  }
};
INSTANTIATE_TEST_SUITE_P(Everywhere, Shutdown, testing::Values(Mode::main, Mode::thread, Mode::process),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

inline std::uint64_t frames_left(const Report& report) {
  std::uint64_t left = 0;
  for (const auto& link : report.links) left += link.left + link.dropped;
  return left;
}

}  // namespace weir::test
