#include "weir/stdio.hpp"

#include <charconv>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace weir {

namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // as many as the kernel follows

bool holds_descriptors(const fs::path& folder) {
  std::error_code none;
  for (const char* own : {"/proc/self/fd", "/proc/thread-self/fd"})
    if (folder == fs::canonical(own, none) && !none) return true;
  return false;
}

std::optional<int> number_in(const std::string& text) {
  int number = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && at == end && number >= 0 ? std::optional(number) : std::nullopt;
}

}  // namespace

void keep_stdio() noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // Open for what nobody does with it. The lowest free descriptor is this one.
    const int opened = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (opened >= 0 && opened != fd) ::close(opened);
  }
}

std::optional<int> descriptor_named(const std::string& path) {
  std::error_code none;
  fs::path name = path;
  for (int links = 0; links < kMostLinks; ++links) {
    const fs::path folder = fs::canonical(name.has_parent_path() ? name.parent_path() : ".", none);
    if (none) return std::nullopt;
    if (holds_descriptors(folder)) return number_in(name.filename());
    const fs::path target = fs::read_symlink(folder / name.filename(), none);
    if (none) return std::nullopt;  // no link: a file
    name = folder / target;
  }
  return std::nullopt;
}

}  // namespace weir
