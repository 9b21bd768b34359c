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

#include "shm/limit_error.hpp"
#include "weir/error.hpp"

namespace weir::shm {

namespace {

[[noreturn]] void fail(const std::string& what, std::size_t bytes, int error) {
  if (error == EMFILE || error == EFBIG) throw StartError(what + ": " + file_error(error));
  const std::size_t available = available_memory();
  throw MemoryError(what + ": needs " + std::to_string(bytes) + " bytes, " + std::to_string(available) +
                        " are available (" + memory_error(error) + ")",
                    bytes, available);
}

constexpr std::size_t kPage = 4096;

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

/// Where huge pages fit: memory that begins in the middle of one has none there.
void* aligned_place(std::size_t bytes, std::size_t alignment) {
  void* p = ::mmap(nullptr, bytes + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(p);
  const std::uintptr_t aligned = round_up(begin, alignment);
  if (aligned != begin) ::munmap(p, aligned - begin);
  const std::uintptr_t used_to = round_up(aligned + bytes, kPage);
  const std::uintptr_t mapped_to = round_up(begin + bytes + alignment, kPage);
  if (mapped_to != used_to) ::munmap(reinterpret_cast<void*>(used_to), mapped_to - used_to);
  return reinterpret_cast<void*>(aligned);
}

/// Has memory behind each of its pages afterwards, mapped here. EINVAL before Linux 5.14.
int populate_pages(std::byte* data, std::size_t offset, std::size_t bytes) {
#ifdef MADV_POPULATE_WRITE
  constexpr int kPopulateWrite = MADV_POPULATE_WRITE;
#else
  constexpr int kPopulateWrite = 23;
#endif
  const std::size_t begin = offset / kPage * kPage;
  const std::size_t end = round_up(offset + bytes, kPage);
  while (::madvise(data + begin, end - begin, kPopulateWrite) != 0)
    if (errno != EINTR && errno != EAGAIN) return errno == EFAULT ? ENOMEM : errno;
  return 0;
}

/// Of the size that the kernel takes where none is named.
std::size_t huge_page_bytes() {
  std::size_t kib = 0;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);)
    if (std::sscanf(line.c_str(), "Hugepagesize: %zu kB", &kib) == 1) return kib << 10;
  return std::size_t{2} << 20;
}

std::size_t read_number(const char* path) {
  std::ifstream file(path);
  std::size_t number = 0;
  return file >> number ? number : 0;
}

}  // namespace

void Segment::map(PageKind pages, std::string_view what, void* place, Access access) {
  // Pages set aside are reserved by the mapping, so that no touch can find none left.
  int flags = fd_ < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  if (pages != PageKind::reserved) flags |= MAP_NORESERVE;
  else if (fd_ < 0) flags |= MAP_HUGETLB;
  if (pages == PageKind::transparent) place = aligned_place(bytes_, huge_page_bytes());
  if (place) flags |= MAP_FIXED;
  const int protection = access == Access::read_write ? PROT_READ | PROT_WRITE : PROT_READ;
  void* p = ::mmap(place, bytes_, protection, flags, fd_, 0);
  if (p == MAP_FAILED) fail("mapping " + std::string(what), bytes_, errno);
  data_ = static_cast<std::byte*>(p);
  if (pages == PageKind::transparent) ::madvise(data_, bytes_, MADV_HUGEPAGE);  // a hint: without, pages are small
}

Segment Segment::create(Sharing sharing, std::size_t bytes, std::string_view what, PageKind pages, void* place) {
  Segment segment;
  segment.pages_ = pages;
  if (pages == PageKind::reserved) bytes = round_up(bytes, huge_page_bytes());
  const std::string name = "weir:" + std::string(what.substr(0, 200));  // the kernel takes 249
  if (sharing == Sharing::shared) {
    segment.fd_ = keep_off_stdio(::memfd_create(
        name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | (pages == PageKind::reserved ? MFD_HUGETLB : 0u)));
    if (segment.fd_ < 0) fail("shared memory for " + std::string(what), bytes, errno);
    ::fchmod(segment.fd_, S_IRUSR | S_IWUSR);
    if (::ftruncate(segment.fd_, static_cast<off_t>(bytes)) != 0 ||
        ::fcntl(segment.fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
      fail("shared memory for " + std::string(what), bytes, errno);
  }
  segment.bytes_ = bytes;
  segment.map(pages, what, place);
  return segment;
}

Segment Segment::adopt(int fd, std::size_t bytes, std::string_view what, PageKind pages) {
  Segment segment;
  segment.fd_ = fd;
  segment.pages_ = pages;
  if (pages == PageKind::reserved) bytes = round_up(bytes, huge_page_bytes());
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    throw StartError("can't attach to " + std::string(what) + ": descriptor " + std::to_string(fd) + ": " +
                     std::strerror(errno));
  if (status.st_size < 0 || static_cast<std::size_t>(status.st_size) < bytes)
    throw StartError("can't attach to " + std::string(what) + ": it has " + std::to_string(status.st_size) +
                     " bytes, expected " + std::to_string(bytes));
  segment.bytes_ = bytes;
  return segment;
}

Segment Segment::attach(int fd, std::size_t bytes, std::string_view what, PageKind pages) {
  Segment segment = adopt(fd, bytes, what, pages);
  segment.map(pages, what);
  return segment;
}

Segment Segment::attach_at(void* place, int fd, std::size_t bytes, std::string_view what, Access access) {
  Segment segment = adopt(fd, bytes, what, PageKind::normal);
  if (access == Access::read_only) {
    const int reader = ::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
    if (reader < 0)
      throw StartError("can't attach to " + std::string(what) + " for reading only: /proc/self/fd: " +
                       std::strerror(errno) + "; is /proc mounted?");
    ::close(std::exchange(segment.fd_, reader));
  }
  segment.map(PageKind::normal, what, place, access);
  return segment;
}

Segment::Segment(Segment&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      fd_(std::exchange(other.fd_, -1)),
      pages_(other.pages_) {}

Segment& Segment::operator=(Segment&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(fd_, other.fd_);
  std::swap(pages_, other.pages_);
  return *this;
}

Segment::~Segment() {
  if (data_) ::munmap(data_, bytes_);
  if (fd_ >= 0) ::close(fd_);
}

void Segment::commit(std::size_t offset, std::size_t bytes) const {
  constexpr std::size_t kWorthAsking = 1 << 20;  // asking costs some 20 us; small steps are covered by the margin
  if (pages_ == PageKind::reserved) return;
  if (bytes >= kWorthAsking && bytes > available_memory()) fail("payload memory", bytes, ENOMEM);
  if (fd_ < 0) return;  // private memory is committed by the first touch
  // Through the mapping, so that the pages are huge where that was asked for, and the first touch finds them mapped.
  int result = populate_pages(data_, offset, bytes);
  if (result == EINVAL) do {
      result = ::posix_fallocate(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    } while (result == EINTR);
  if (result != 0) fail("shared payload memory", bytes, result);
}

void Segment::populate(std::size_t offset, std::size_t bytes) const {
  commit(offset, bytes);
  const int result = populate_pages(data_, offset, bytes);
  if (result == EINVAL) {  // an older kernel: reading maps what commit has made
    for (std::size_t at = offset; at < offset + bytes; at += kPage) (void)*static_cast<volatile std::byte*>(data_ + at);
  } else if (result != 0) {
    fail("payload memory", bytes, result);
  }
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
