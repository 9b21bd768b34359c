// What `weir doctor` says of cores and limits, read from trees that stand for /.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_root.hpp"
#include "tools/weir/doctor_limits.hpp"

namespace weir::tool {
namespace {

using testing::HasSubstr;
using Doctor = test::FakeRoot;
using Weight = Finding::Weight;

TEST_F(Doctor, TellsCoresFromHyperthreads) {
  const Finding apart = examine_cores({0, 1, 2}, root_);
  EXPECT_EQ(apart.found, "3, on CPUs 0-2");
  EXPECT_EQ(apart.weight, Weight::good);
  for (const unsigned cpu : {0u, 1u, 2u, 3u}) add_cpu(cpu, cpu % 2 == 0 ? "0,2" : "1,3");
  const Finding shared = examine_cores({0, 1, 2, 3}, root_);
  EXPECT_EQ(shared.found, "2, with 4 hyperthreads, by core: 0,2 1,3");
  EXPECT_EQ(shared.weight, Weight::note);
  const Finding one = examine_cores({1, 3}, root_);
  EXPECT_EQ(one.found, "1, with 2 hyperthreads, by core: 1,3");
  EXPECT_EQ(one.weight, Weight::concern);
}

TEST_F(Doctor, NamesTheQuotaThatBindsAndItsFile) {
  EXPECT_EQ(examine_cpu_limit({0, 1}, root_).found, "none to be seen");
  mount_unified("/a/b");
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000");
  write("/sys/fs/cgroup/a/cpu.max", "150000 100000");
  const Finding bound = examine_cpu_limit({0, 1}, root_);
  EXPECT_EQ(bound.found, "1.50 CPUs, by /sys/fs/cgroup/a/cpu.max");
  EXPECT_EQ(bound.weight, Weight::concern);
  EXPECT_EQ(examine_cpu_limit({0}, root_).weight, Weight::note) << "more than its CPUs";
}

TEST_F(Doctor, NamesTheMemoryLimitBesideSharedMemory) {
  EXPECT_EQ(examine_shared_memory(root_).found, "no /dev/shm; the control group sets no limit");
  mount_old("/", "/a");
  write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "536870912");
  write("/dev/shm/file", "");
  const Finding bound = examine_shared_memory(root_);
  EXPECT_THAT(bound.found, HasSubstr("MiB; the control group may use 512 MiB of memory, by "
                                     "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"));
  EXPECT_EQ(bound.weight, Weight::note);
}

}  // namespace
}  // namespace weir::tool
