// Segments: private and shared memory, and that nothing of it has a name, changes its size, or stays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/segment.hpp"
#include "watch.hpp"
#include "weir/error.hpp"

namespace weir::shm {
namespace {

using test::thrown;
using testing::AllOf;
using testing::HasSubstr;
using Sharing = Segment::Sharing;

int duplicate(const Segment& segment) { return ::fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

/// Whether an address lies in a mapping of this process.
bool is_mapped(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &from, &to) != 2) continue;
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    if (from <= at && at < to) return true;
  }
  return false;
}

std::set<std::string> named_shared_memory() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) names.insert(entry.path());
  return names;
}

class Segments : public testing::TestWithParam<Sharing> {};
INSTANTIATE_TEST_SUITE_P(, Segments, testing::Values(Sharing::private_memory, Sharing::shared),
                         [](const auto& kind) {
                           return kind.param == Sharing::shared ? "shared" : "private";
                         });

TEST_P(Segments, GiveZeroedMemoryOfTheirSize) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{4096}, std::size_t{1'000'000}}) {
    const Segment segment = Segment::create(GetParam(), bytes, "test");
    ASSERT_NE(segment.data(), nullptr);
    EXPECT_EQ(segment.size(), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(segment.data()) % 4096, 0u);
    EXPECT_TRUE(
        std::all_of(segment.data(), segment.data() + bytes, [](std::byte b) { return b == std::byte{}; }));
    std::memset(segment.data(), 1, bytes);
    EXPECT_EQ(segment.at<std::byte>(bytes - 1), segment.data() + bytes - 1);
  }
}

TEST_P(Segments, AreGoneOnceTheyAreDestroyed) {
  const std::size_t before = open_descriptors();
  const std::byte* data = nullptr;
  {
    const Segment segment = Segment::create(GetParam(), 10'000, "test");
    data = segment.data();
    EXPECT_TRUE(is_mapped(data));
    EXPECT_EQ(open_descriptors(), before + segment.shared());
  }
  EXPECT_FALSE(is_mapped(data));
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(Segments, MoveWithAllTheyOwn) {
  const std::size_t before = open_descriptors();
  {
    Segment first = Segment::create(GetParam(), 100, "test");
    std::byte* data = first.data();
    Segment second(std::move(first));
    EXPECT_EQ(first.data(), nullptr);
    EXPECT_EQ(first.size(), 0u);
    EXPECT_EQ(first.fd(), -1);
    EXPECT_EQ(second.data(), data);
    EXPECT_EQ(second.size(), 100u);
    first = std::move(second);
    EXPECT_EQ(first.data(), data);
    Segment& same = first;
    first = std::move(same);
    EXPECT_EQ(first.data(), data);
    EXPECT_TRUE(is_mapped(data));
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(Segments, ReserveMoreThanThereIsAndRefuseToCommitIt) {
  const std::size_t bytes = 2 * available_memory();
  const Segment segment = Segment::create(GetParam(), bytes, "test");
  const auto error = thrown<MemoryError>([&] { segment.commit(0, bytes); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->needed_bytes, bytes);
  EXPECT_LT(error->available_bytes, bytes);
  EXPECT_THAT(error->what(),
              AllOf(HasSubstr(std::to_string(bytes)), HasSubstr(std::to_string(error->available_bytes))));
  segment.commit(bytes / 2, 100'000);
  std::memset(segment.data() + bytes / 2, 1, 100'000);
}

TEST_P(Segments, RefuseASizeThatNoAddressSpaceHas) {
  const std::size_t before = open_descriptors();
  for (const std::size_t bytes : {std::size_t{1} << 50, std::size_t{1} << 62, ~std::size_t{0}}) {
    const auto error = thrown<MemoryError>([&] { (void)Segment::create(GetParam(), bytes, "the test"); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->needed_bytes, bytes);
    EXPECT_LT(error->available_bytes, bytes);
    EXPECT_THAT(error->what(), HasSubstr("the test"));
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Segment, IsNothingUntilItIsMade) {
  const Segment segment;
  EXPECT_EQ(segment.data(), nullptr);
  EXPECT_EQ(segment.size(), 0u);
  EXPECT_FALSE(segment.shared());
}

TEST(Segment, InPrivateMemoryHasNoDescriptor) {
  const Segment segment = Segment::create(Sharing::private_memory, 100, "test");
  EXPECT_EQ(segment.fd(), -1);
  EXPECT_FALSE(segment.shared());
}

TEST(Segment, IsForItsOwnerOnly) {
  const Segment segment = Segment::create(Sharing::shared, 100, "test");
  struct stat status {};
  ASSERT_EQ(::fstat(segment.fd(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_EQ(status.st_uid, ::geteuid());
}

TEST(Segment, DoesNotPassToProgramsThatAreStartedBesides) {
  const Segment segment = Segment::create(Sharing::shared, 100, "test");
  EXPECT_EQ(::fcntl(segment.fd(), F_GETFD), FD_CLOEXEC);
}

TEST(Segment, HasNoNameInTheFileSystem) {
  const auto before = named_shared_memory();
  const Segment segment = Segment::create(Sharing::shared, 100, "nameless");
  EXPECT_EQ(named_shared_memory(), before);
  struct stat status {};
  ASSERT_EQ(::fstat(segment.fd(), &status), 0);
  EXPECT_EQ(status.st_nlink, 0u);
  const auto target = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(segment.fd())).string();
  EXPECT_EQ(target, "/memfd:weir:nameless (deleted)");
  EXPECT_FALSE(std::filesystem::exists(target));
}

TEST(Segment, KeepsItsSizeWhateverItsNeighboursTry) {
  const Segment segment = Segment::create(Sharing::shared, 10'000, "test");
  for (const off_t bytes : {0, 1, 9'999, 10'001, 100'000}) {
    EXPECT_EQ(::ftruncate(segment.fd(), bytes), -1) << bytes;
    EXPECT_EQ(errno, EPERM);
  }
  EXPECT_EQ(::fcntl(segment.fd(), F_ADD_SEALS, F_SEAL_WRITE), -1) << "nobody may make it read-only either";
  struct stat status {};
  ASSERT_EQ(::fstat(segment.fd(), &status), 0);
  EXPECT_EQ(status.st_size, 10'000);
}

TEST(Segment, IsTheSameMemoryWhereItIsAttached) {
  const Segment here = Segment::create(Sharing::shared, 10'000, "test");
  const Segment there = Segment::attach(duplicate(here), 10'000, "test");
  EXPECT_NE(there.data(), here.data());
  here.data()[9'999] = std::byte{7};
  EXPECT_EQ(there.data()[9'999], std::byte{7});
  there.data()[0] = std::byte{8};
  EXPECT_EQ(here.data()[0], std::byte{8});
}

TEST(Segment, StaysForThoseWhoAreAttached) {
  Segment there;
  {
    const Segment here = Segment::create(Sharing::shared, 100, "test");
    here.data()[0] = std::byte{7};
    there = Segment::attach(duplicate(here), 100, "test");
  }
  EXPECT_EQ(there.data()[0], std::byte{7});
}

TEST(Segment, IsAttachedToAsFarAsIsAskedFor) {
  const Segment here = Segment::create(Sharing::shared, 10'000, "test");
  EXPECT_EQ(Segment::attach(duplicate(here), 10, "test").size(), 10u);
}

TEST(Segment, RefusesToAttachToMemoryThatIsTooShort) {
  const Segment here = Segment::create(Sharing::shared, 100, "test");
  const std::size_t before = open_descriptors();
  for (const std::size_t bytes : {std::size_t{101}, std::size_t{1} << 40, ~std::size_t{0}}) {
    const auto error =
        thrown<StartError>([&] { (void)Segment::attach(duplicate(here), bytes, "the ring of b"); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(),
                AllOf(HasSubstr("the ring of b"), HasSubstr("100"), HasSubstr(std::to_string(bytes))));
  }
  EXPECT_EQ(open_descriptors(), before) << "it took the descriptors over, so it had to close them";
}

TEST(Segment, RefusesToAttachToWhatIsNoMemory) {
  EXPECT_THROW((void)Segment::attach(-1, 100, "test"), StartError);
  const int closed = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(closed);
  EXPECT_THROW((void)Segment::attach(closed, 100, "test"), StartError);
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  EXPECT_THROW((void)Segment::attach(pipe[0], 100, "test"), StartError);
  EXPECT_FALSE(is_open(pipe[0]));
  ::close(pipe[1]);
}

TEST(AvailableMemory, IsSomeOfWhatTheMachineHas) {
  const auto pages = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES));
  EXPECT_GT(available_memory(), 0u);
  EXPECT_LE(available_memory(), pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
}

}  // namespace
}  // namespace weir::shm
