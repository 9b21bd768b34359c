// What the reference's own test cases share here: each in a thread and in a process.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "watch.hpp"
#include "weir/weir.hpp"

namespace weir::test {

class Subprocess : public LeavesNothing, public testing::WithParamInterface<Mode> {
 protected:
  ~Subprocess() override { Parallelize::set_default_mode(Mode::process); }
};
inline const auto mode_name = [](const auto& mode) { return std::string(to_string(mode.param)); };
INSTANTIATE_TEST_SUITE_P(In, Subprocess, testing::Values(Mode::thread, Mode::process), mode_name);

}  // namespace weir::test
