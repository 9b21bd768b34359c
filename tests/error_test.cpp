// What errors say.
#include <gtest/gtest.h>

#include "weir/error.hpp"

namespace {

using weir::WorkerError;

TEST(WorkerErrors, SayWhereHowFarAndWhat) {
  EXPECT_STREQ(WorkerError("a", "a:snk:in", 3, "std::runtime_error", "no more").what(),
               "element 'a', pad 'a:snk:in', frame 3: no more (std::runtime_error)");
  EXPECT_STREQ(WorkerError("a", "", 3, "Mine", "no more").what(), "element 'a', frame 3: no more (Mine)");
}

TEST(WorkerErrors, OfWeirsOwnHaveNoTypeInTheirText) {
  const WorkerError error("a", "a:snk:in", 3, "weir::PayloadError", "it takes f32");
  EXPECT_STREQ(error.what(), "element 'a', pad 'a:snk:in', frame 3: it takes f32");
  EXPECT_EQ(error.type, "weir::PayloadError");
}

TEST(WorkerErrors, BeforeTheFirstFrameNameNone) {
  EXPECT_STREQ(WorkerError("a", "a:snk:in", 0, "weir::Error", "can't open 'x'").what(),
               "element 'a': can't open 'x'");
}

TEST(WorkerErrors, WhoseTextIsTheirTypeSayItOnce) {
  EXPECT_STREQ(WorkerError("a", "", 1, "std::bad_alloc", "std::bad_alloc").what(),
               "element 'a', frame 1: std::bad_alloc");
}

}  // namespace
