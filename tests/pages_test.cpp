// Huge pages, and memory that is not swapped out: what is chosen, and what is said where it can't be had.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/pages.hpp"
#include "watch.hpp"
#include "weir/error.hpp"

namespace weir::shm {
namespace {

using test::thrown;
using testing::AllOf;
using testing::HasSubstr;
using Sharing = Segment::Sharing;

constexpr std::size_t kMiB = 1 << 20;

TEST(HugePages, AreTransparentWhereTheKernelGivesThemOnRequest) {
  const HugePageSupport support{"madvise", "advise", 2 * kMiB, 1000};
  EXPECT_EQ(choose_huge_pages(support, Sharing::private_memory, kMiB).kind, PageKind::transparent);
  EXPECT_EQ(choose_huge_pages(support, Sharing::shared, kMiB).kind, PageKind::transparent);
}

TEST(HugePages, AreThoseSetAsideWhereTheySufficeForAll) {
  const HugePageSupport support{"never", "never", 2 * kMiB, 3};
  for (const Sharing sharing : {Sharing::private_memory, Sharing::shared}) {
    EXPECT_EQ(choose_huge_pages(support, sharing, 6 * kMiB).kind, PageKind::reserved);
    EXPECT_EQ(choose_huge_pages(support, sharing, 6 * kMiB + 1).kind, PageKind::normal);
  }
}

TEST(HugePages, ThatCannotBeHadAreExplainedWithBothRemedies) {
  const HugePageSupport support{"madvise", "never", 2 * kMiB, 3};
  const HugePageChoice choice = choose_huge_pages(support, Sharing::shared, 9 * kMiB);
  EXPECT_EQ(choice.kind, PageKind::normal);
  EXPECT_THAT(choice.why_not, AllOf(HasSubstr("shmem_enabled is 'never'"), HasSubstr("echo advise > /sys/kernel/mm"),
                                    HasSubstr("3 are free"), HasSubstr("sysctl vm.nr_hugepages=5")));
  EXPECT_THAT(choose_huge_pages({}, Sharing::shared, kMiB).why_not, HasSubstr("huge_pages=off"));
}

// Whatever pages this machine gives: what is asked for in vain costs nothing but the pages.
TEST(HugePages, LeaveASegmentWholeForAllWhoMapIt) {
  for (const Sharing sharing : {Sharing::private_memory, Sharing::shared}) {
    const Segment made = Segment::create(sharing, 3 * kMiB + 4096, "pages", PageKind::transparent);
    made.commit(kMiB, kMiB);
    made.populate(0, 3 * kMiB + 4096);
    *made.at<int>(3 * kMiB) = 7;
    if (sharing == Sharing::private_memory) continue;
    const Segment mapped = Segment::attach(::dup(made.fd()), made.size(), "pages", PageKind::transparent);
    EXPECT_EQ(*mapped.at<int>(3 * kMiB), 7);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mapped.data()) % (2 * kMiB), 0u);
  }
}

std::size_t locked_kib() {
  std::ifstream status("/proc/self/status");
  std::size_t kib = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmLck:")) kib = std::stoul(line.substr(6));
  return kib;
}

/// Root may lock whatever it likes, until it gives that right up.
void obey_limits(rlim_t bytes) {
  const rlimit limit{bytes, bytes};
  ::setrlimit(RLIMIT_MEMLOCK, &limit);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  ::syscall(SYS_capset, &header, none);
}

TEST(LockedMemory, IsHeldUpToTheLimitAndRefusedBeyondWithWhatToDo) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    obey_limits(kMiB);
    const Segment small = Segment::create(Sharing::shared, kMiB / 2, "small");
    const Segment large = Segment::create(Sharing::shared, kMiB, "large");
    const Segment* one[] = {&small};
    const Segment* both[] = {&small, &large};
    lock_in_memory(one);
    if (locked_kib() < 512) ::_exit(1);
    const auto error = thrown<StartError>([&] { lock_in_memory(both); });
    const std::string text = error ? error->what() : "";
    const bool told = text.find("1572864 bytes") != std::string::npos &&
                      text.find("ulimit -l 1537") != std::string::npos &&
                      text.find("may lock 1048576 bytes (RLIMIT_MEMLOCK)") != std::string::npos;
    ::_exit(told ? 0 : 2);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "exit status " << WEXITSTATUS(status);
}

}  // namespace
}  // namespace weir::shm
