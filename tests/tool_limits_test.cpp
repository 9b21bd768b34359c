// `weir run` where a limit of its process (ulimit) is reached: an error that names the limit, never a bare signal.
#include <cerrno>
#include <string>

#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sanitizers.hpp"
#include "shm/limit_error.hpp"
#include "tool_process.hpp"

namespace weir::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Limits : public ToolTest, public testing::WithParamInterface<const char*> {
 protected:
  static Ended run_with(const std::string& limit, const std::string& pipeline) {
    return weir_in_shell("ulimit " + limit + "; " + kCommand, {"run", "--mode", GetParam(), pipeline});
  }
};
INSTANTIATE_TEST_SUITE_P(InEveryMode, Limits, testing::Values("thread", "process"));

TEST_P(Limits, OfOpenFilesAreNamed) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's runtime opens pipes of its own";
  for (const int limit : {4, 5, 6, 8, 12, 16}) {
    const Ended ended = run_with("-n " + std::to_string(limit), "count_source count=3 ! null_sink");
    if (ended.code == 0) continue;    // threads need few
    if (ended.code == 127) continue;  // the loader could not open weir's libraries
    EXPECT_EQ(ended.code, 1);
    EXPECT_EQ(messages_in(ended.err), 1) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("Too many open files; the limit of open files is " + std::to_string(limit) +
                                     ": raise it with 'ulimit -n'"));
    EXPECT_THAT(ended.err, Not(HasSubstr("18446744073709551615")));
  }
}

TEST_P(Limits, OfFileSizesAreErrorsOfWhoWrites) {
  const Ended ended = run_with("-f 1", "count_source count=10000 ! raw_sink path=" + path("x.raw"));
  EXPECT_EQ(ended.signal, 0);
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("weir: "), HasSubstr("File too large")));
}

TEST(ALimitThatIsReached, IsNamedWithItsNumber) {
  rlimit before{};
  ::getrlimit(RLIMIT_NPROC, &before);
  rlimit lower = before;
  lower.rlim_cur = 1000;
  if (before.rlim_max < lower.rlim_cur) GTEST_SKIP() << "there is a lower limit";
  ::setrlimit(RLIMIT_NPROC, &lower);
  EXPECT_THAT(shm::start_error(EAGAIN), HasSubstr("processes and threads is 1000: raise it with 'ulimit -u'"));
  ::setrlimit(RLIMIT_NPROC, &before);
  EXPECT_THAT(shm::start_error(ENOMEM), Not(HasSubstr("ulimit")));
}

}  // namespace
}  // namespace weir::test
