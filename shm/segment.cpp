#include "shm/segment.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/error.hpp"

namespace weir::shm {

namespace {

[[noreturn]] void fail(const std::string& what, std::size_t bytes, int error) {
  const std::size_t available = available_memory();
  throw MemoryError(what + ": needs " + std::to_string(bytes) + " bytes, " + std::to_string(available) +
                        " are available (" + std::strerror(error) + ")",
                    bytes, available);
}

std::byte* map(std::size_t bytes, int fd) {
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED | MAP_NORESERVE;
  void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  return p == MAP_FAILED ? nullptr : static_cast<std::byte*>(p);
}

std::size_t read_number(const char* path) {
  std::ifstream file(path);
  std::size_t number = 0;
  return file >> number ? number : 0;
}

}  // namespace

Segment Segment::create(Sharing sharing, std::size_t bytes, std::string_view what) {
  Segment segment;
  const std::string name = "weir:" + std::string(what.substr(0, 200));  // the kernel takes 249
  if (sharing == Sharing::shared) {
    segment.fd_ = keep_off_stdio(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (segment.fd_ < 0) fail("shared memory for " + std::string(what), bytes, errno);
    ::fchmod(segment.fd_, S_IRUSR | S_IWUSR);
    if (::ftruncate(segment.fd_, static_cast<off_t>(bytes)) != 0 ||
        ::fcntl(segment.fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
      fail("shared memory for " + std::string(what), bytes, errno);
  }
  segment.data_ = map(bytes, segment.fd_);
  if (!segment.data_) fail("memory for " + std::string(what), bytes, errno);
  segment.bytes_ = bytes;
  return segment;
}

Segment Segment::attach(int fd, std::size_t bytes, std::string_view what) {
  Segment segment;
  segment.fd_ = fd;
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    throw StartError("can't attach to " + std::string(what) + ": descriptor " + std::to_string(fd) + ": " +
                     std::strerror(errno));
  if (status.st_size < 0 || static_cast<std::size_t>(status.st_size) < bytes)
    throw StartError("can't attach to " + std::string(what) + ": it has " + std::to_string(status.st_size) +
                     " bytes, expected " + std::to_string(bytes));
  segment.data_ = map(bytes, fd);
  if (!segment.data_) fail("mapping " + std::string(what), bytes, errno);
  segment.bytes_ = bytes;
  return segment;
}

Segment::Segment(Segment&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      fd_(std::exchange(other.fd_, -1)) {}

Segment& Segment::operator=(Segment&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(fd_, other.fd_);
  return *this;
}

Segment::~Segment() {
  if (data_) ::munmap(data_, bytes_);
  if (fd_ >= 0) ::close(fd_);
}

void Segment::commit(std::size_t offset, std::size_t bytes) const {
  constexpr std::size_t kWorthAsking = 1 << 20;  // asking costs some 20 us; small steps are covered by the margin
  if (bytes >= kWorthAsking && bytes > available_memory()) fail("payload memory", bytes, ENOMEM);
  if (fd_ < 0) return;  // private memory is committed by the first touch
  int result;
  do {
    result = ::posix_fallocate(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  } while (result == EINTR);
  if (result != 0) fail("shared payload memory", bytes, result);
}

int keep_off_stdio(int fd) noexcept {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  const int raised = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  ::close(fd);
  return raised;
}

std::size_t available_memory() {
  std::size_t available = SIZE_MAX;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu kB", &kib) == 1) available = static_cast<std::size_t>(kib) << 10;
  }
  const std::size_t limit = read_number("/sys/fs/cgroup/memory.max");
  const std::size_t used = read_number("/sys/fs/cgroup/memory.current");
  if (limit > 0) available = std::min(available, limit > used ? limit - used : 0);
  return available;
}

}  // namespace weir::shm
