// What errors say.
#include <gtest/gtest.h>

#include "weir/error.hpp"

namespace {

using weir::WorkerError;

TEST(WorkerErrors, SayWhereHowFarAndWhat) {
  EXPECT_STREQ(WorkerError("a", "a:snk:in", 3, "Mine", "no more").what(),
               "element 'a', pad 'a:snk:in', frame 3: no more (Mine)");
  EXPECT_STREQ(WorkerError("a", "", 3, "Mine", "no more").what(), "element 'a', frame 3: no more (Mine)");
}

TEST(WorkerErrors, OfWeirAndOfTheStandardLibraryHaveNoTypeInTheirText) {
  for (const char* type : {"weir::PayloadError", "std::invalid_argument"}) {
    const WorkerError error("a", "a:snk:in", 3, type, "it takes f32");
    EXPECT_STREQ(error.what(), "element 'a', pad 'a:snk:in', frame 3: it takes f32");
    EXPECT_EQ(error.type, type);
  }
}

TEST(WorkerErrors, BeforeTheFirstFrameNameNone) {
  EXPECT_STREQ(WorkerError("a", "a:snk:in", 0, "weir::Error", "can't open 'x'").what(),
               "element 'a': can't open 'x'");
}

}  // namespace
