// What the machine and control groups leave to a process, read from trees that stand for /.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include "fake_root.hpp"
#include "engine/machine/control_group.hpp"
#include "engine/machine/cores.hpp"

namespace weir::machine {
namespace {

using testing::ElementsAre;

using ControlGroup = test::FakeRoot;
using Cores = test::FakeRoot;

TEST_F(ControlGroup, OfVersionTwoIsBoundByTheSmallestLimitAboveIt) {
  mount_unified("/app.slice/weir.service");
  write("/sys/fs/cgroup/app.slice/weir.service/cpu.max", "400000 100000\n");
  write("/sys/fs/cgroup/app.slice/weir.service/memory.max", "max\n");
  write("/sys/fs/cgroup/app.slice/cpu.max", "75000 50000\n");
  write("/sys/fs/cgroup/app.slice/memory.max", "1073741824\n");
  ASSERT_TRUE(cpu_quota(root_));
  EXPECT_DOUBLE_EQ(cpu_quota(root_)->amount, 1.5);
  EXPECT_EQ(cpu_quota(root_)->file, "/sys/fs/cgroup/app.slice/cpu.max");
  ASSERT_TRUE(memory_limit(root_));
  EXPECT_DOUBLE_EQ(memory_limit(root_)->amount, 1 << 30);
  EXPECT_EQ(memory_limit(root_)->file, "/sys/fs/cgroup/app.slice/memory.max");
}

TEST_F(ControlGroup, OfVersionTwoIsBoundByItsOwnLimitWhereThatIsSmaller) {
  mount_unified("/app.slice/weir.service");
  write("/sys/fs/cgroup/app.slice/weir.service/cpu.max", "50000 100000\n");
  write("/sys/fs/cgroup/app.slice/cpu.max", "200000 100000\n");
  ASSERT_TRUE(cpu_quota(root_));
  EXPECT_DOUBLE_EQ(cpu_quota(root_)->amount, 0.5);
  EXPECT_EQ(cpu_quota(root_)->file, "/sys/fs/cgroup/app.slice/weir.service/cpu.max");
}

TEST_F(ControlGroup, OfVersionTwoInAContainerIsTheMountsTop) {
  mount_unified("/");
  write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  ASSERT_TRUE(cpu_quota(root_));
  EXPECT_EQ(cpu_quota(root_)->file, "/sys/fs/cgroup/cpu.max");
}

TEST_F(ControlGroup, OfVersionOneIsBoundByTheSmallestLimitAboveIt) {
  mount_old("/", "/jobs/weir");
  write("/sys/fs/cgroup/cpu,cpuacct/jobs/weir/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu,cpuacct/jobs/weir/cpu.cfs_period_us", "100000\n");
  write("/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us", "250000\n");
  write("/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us", "100000\n");
  write("/sys/fs/cgroup/memory/jobs/weir/memory.limit_in_bytes", "9223372036854771712\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
  ASSERT_TRUE(cpu_quota(root_));
  EXPECT_DOUBLE_EQ(cpu_quota(root_)->amount, 2.5);
  EXPECT_EQ(cpu_quota(root_)->file, "/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us");
  ASSERT_TRUE(memory_limit(root_));
  EXPECT_EQ(memory_limit(root_)->file, "/sys/fs/cgroup/memory/memory.limit_in_bytes");
}

TEST_F(ControlGroup, WhoseGroupIsMountedInAContainerIsFoundThere) {
  mount_old("/docker/12", "/docker/12");
  write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n");
  write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  ASSERT_TRUE(cpu_quota(root_));
  EXPECT_EQ(cpu_quota(root_)->file, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us");
  mount_old("/docker/12", "/docker/123");
  EXPECT_FALSE(cpu_quota(root_)) << "another group is mounted";
  mount_old("/", "/../docker/12");
  EXPECT_FALSE(cpu_quota(root_)) << "outside what this process sees";
}

TEST_F(ControlGroup, WhoseNameHasASpaceIsFound) {
  write("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/my\\040groups rw - cgroup2 cgroup2 rw\n");
  write("/proc/self/cgroup", "0::/a b:c\n");
  write("/sys/fs/my groups/a b:c/cpu.max", "100000 100000\n");
  ASSERT_TRUE(cpu_quota(root_));
  EXPECT_EQ(cpu_quota(root_)->file, "/sys/fs/my groups/a b:c/cpu.max");
}

TEST_F(ControlGroup, ThatSaysMaxOrNothingLimitsNothing) {
  EXPECT_FALSE(cpu_quota(root_)) << "no files at all";
  EXPECT_FALSE(memory_limit(root_));
  mount_unified("/app");
  EXPECT_FALSE(cpu_quota(root_)) << "no file of the controller";
  write("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/app/memory.max", "max\n");
  EXPECT_FALSE(cpu_quota(root_));
  EXPECT_FALSE(memory_limit(root_));
}

TEST_F(ControlGroup, WhoseFilesAreGarbageLimitsNothing) {
  mount_unified("/app");
  for (const char* text : {"", "\n", "100000", "100000 0", "100000 -5", "12x 100000", "0 100000", "0x10 16",
                           "99999999999999999999999 100000"}) {
    write("/sys/fs/cgroup/app/cpu.max", text);
    EXPECT_FALSE(cpu_quota(root_)) << text;
  }
  for (const char* text : {"much", "-1", "12MB", "0"}) {
    write("/sys/fs/cgroup/app/memory.max", text);
    EXPECT_FALSE(memory_limit(root_)) << text;
  }
  write("/proc/self/cgroup", "nonsense\n0:\n::\n0::app\n");
  EXPECT_FALSE(cpu_quota(root_));
  write("/proc/self/mountinfo", "nonsense\n\n31 23 0:28 / \\0 - cgroup2\n1 2 3 4\\7 \\777 - cgroup2 x y\n");
  EXPECT_FALSE(cpu_quota(root_));
}

TEST_F(Cores, CountTheHyperthreadsOfACoreOnce) {
  for (const unsigned cpu : {0u, 1u, 2u, 3u}) add_cpu(cpu, cpu % 2 == 0 ? "0,2" : "1,3");
  EXPECT_THAT(by_core({0, 1, 2, 3}, root_), ElementsAre(Cpus{0, 2}, Cpus{1, 3}));
  const auto cores = cores_of({0, 1, 2, 3}, root_);
  EXPECT_EQ(cores.usable(), 2u);
  EXPECT_EQ(cores.at_once(), 4u);
  EXPECT_EQ(to_text(cores), "2 cores with 4 hyperthreads");
}

TEST_F(Cores, AreThoseOfTheCpusThatTheProcessMayUse) {
  for (const unsigned cpu : {0u, 1u, 2u, 3u}) add_cpu(cpu, cpu < 2 ? "0-1" : "2-3", "thread_siblings_list");
  EXPECT_EQ(to_text(cores_of({1, 2, 3}, root_)), "2 cores with 3 hyperthreads");
  EXPECT_EQ(to_text(cores_of({1, 2}, root_)), "2 cores");
  EXPECT_EQ(to_text(cores_of({2, 3}, root_)), "1 core with 2 hyperthreads");
}

TEST_F(Cores, AreAsManyAsCpusWhereSysfsSaysNothingOfUse) {
  EXPECT_EQ(cores_of({0, 1}, root_).usable(), 2u) << "no files";
  add_cpu(0, "all of them");
  add_cpu(1, "0");
  EXPECT_EQ(cores_of({0, 1}, root_).usable(), 2u) << "garbage, and one that does not list itself";
  EXPECT_EQ(cores_of({}, root_).usable(), 1u);
}

TEST_F(Cores, AreAsManyAsTheQuotaPays) {
  for (const unsigned cpu : {0u, 1u, 2u, 3u}) add_cpu(cpu, std::to_string(cpu));
  mount_unified("/app");
  const auto with_quota = [&](const char* text) {
    write("/sys/fs/cgroup/app/cpu.max", text);
    return cores_of({0, 1, 2, 3}, root_);
  };
  EXPECT_EQ(to_text(with_quota("200000 100000")), "2 cores by the quota in /sys/fs/cgroup/app/cpu.max");
  EXPECT_EQ(with_quota("200000 100000").at_once(), 2u);
  EXPECT_EQ(with_quota("140000 100000").usable(), 1u);
  EXPECT_EQ(with_quota("160000 100000").usable(), 2u);
  EXPECT_EQ(to_text(with_quota("1000 100000")), "1 core by the quota in /sys/fs/cgroup/app/cpu.max");
  EXPECT_EQ(to_text(with_quota("400000 100000")), "4 cores");
  EXPECT_EQ(to_text(with_quota("900000 100000")), "4 cores");
  EXPECT_EQ(to_text(with_quota("max 100000")), "4 cores");
}

TEST(CoresOfThisMachine, AreAtLeastOneAndAtMostThoseOfTheAffinity) {
  cpu_set_t before, one;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  const auto all = cores_of(allowed_cpus());
  EXPECT_EQ(all.cpus, static_cast<unsigned>(CPU_COUNT(&before)));
  EXPECT_GE(all.usable(), 1u);
  EXPECT_LE(all.usable(), all.cpus);
  CPU_ZERO(&one);
  CPU_SET(allowed_cpus().front(), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(cores_of(allowed_cpus()).usable(), 1u);
  ::sched_setaffinity(0, sizeof before, &before);
}

}  // namespace
}  // namespace weir::machine
