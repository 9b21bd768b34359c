// A folder that stands for /, with what tests write into it: a machine and control groups as the kernel shows them.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace weir::test {

/// An empty folder that stands for /.
class FakeRoot : public testing::Test {
 protected:
  FakeRoot() {
    std::string name = (std::filesystem::temp_directory_path() / "weir-machine-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~FakeRoot() override { std::filesystem::remove_all(root_); }
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + file).parent_path());
    std::ofstream(root_ + file) << text;
  }
  void mount_unified(const std::string& process) const {
    write("/proc/self/mountinfo", "23 27 0:22 / /sys rw,relatime - sysfs sysfs rw\n"
                                  "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
    write("/proc/self/cgroup", "0::" + process + "\n");
  }
  /// Version 1: the group `top` of each hierarchy is what is mounted.
  void mount_old(const std::string& top, const std::string& process) const {
    write("/proc/self/mountinfo",
          "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
          "32 31 0:29 " + top + " /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
          "33 31 0:30 " + top + " /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
          "34 31 0:31 " + top + " /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
          "35 31 0:32 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
    write("/proc/self/cgroup", "9:name=systemd:/\n4:memory:" + process + "\n3:cpuset:/\n2:cpu,cpuacct:" + process +
                                   "\n0::/\n");
  }
  void add_cpu(unsigned cpu, const std::string& siblings, const std::string& name = "core_cpus_list") const {
    write("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/" + name, siblings + "\n");
  }
  std::string root_;
};

}  // namespace weir::test
