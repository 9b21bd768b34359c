#include "shm/pages.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <sys/mman.h>
#include <sys/resource.h>

#include "weir/error.hpp"

namespace weir::shm {

namespace {

/// Of "always [madvise] never" the word in brackets.
std::string chosen(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const std::size_t from = line.find('['), to = line.find(']');
  return from == std::string::npos || to == std::string::npos ? "" : line.substr(from + 1, to - from - 1);
}

/// Newer kernels have a setting for each size, which may say "inherit".
std::string chosen_for(std::size_t page_bytes, const std::string& setting) {
  const std::string folder = "/sys/kernel/mm/transparent_hugepage/";
  const std::string own = chosen(folder + "hugepages-" + std::to_string(page_bytes >> 10) + "kB/" + setting);
  return own.empty() || own == "inherit" ? chosen(folder + setting) : own;
}

std::string limit_text(rlim_t limit) {
  return limit == RLIM_INFINITY ? "any number of" : std::to_string(limit);
}

}  // namespace

HugePageSupport huge_page_support() {
  HugePageSupport support;
  std::size_t free_pages = 0, reserved_pages = 0, kib = 0;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    std::sscanf(line.c_str(), "HugePages_Free: %zu", &free_pages);
    std::sscanf(line.c_str(), "HugePages_Rsvd: %zu", &reserved_pages);
    std::sscanf(line.c_str(), "Hugepagesize: %zu kB", &kib);
  }
  support.page_bytes = kib << 10;
  support.unreserved_pages = free_pages - std::min(free_pages, reserved_pages);
  support.private_memory = chosen_for(support.page_bytes, "enabled");
  support.shared_memory = chosen_for(support.page_bytes, "shmem_enabled");
  return support;
}

HugePageChoice choose_huge_pages(const HugePageSupport& support, Segment::Sharing sharing, std::size_t bytes) {
  const bool shared = sharing == Segment::Sharing::shared;
  const std::string& setting = shared ? support.shared_memory : support.private_memory;
  if (!setting.empty() && setting != "never" && setting != "deny") return {PageKind::transparent, {}};
  if (support.page_bytes == 0)
    return {PageKind::normal, "huge_pages: this kernel has none; set huge_pages=off"};
  const std::size_t pages = (bytes + support.page_bytes - 1) / support.page_bytes;
  if (pages <= support.unreserved_pages) return {PageKind::reserved, {}};
  const std::string file = shared ? "shmem_enabled" : "enabled", word = shared ? "advise" : "madvise";
  return {PageKind::normal,
          "huge_pages: payloads get ordinary pages here, as " + file + " is '" +
              (setting.empty() ? "missing" : setting) +
              "'; as root: echo " + word + " > /sys/kernel/mm/transparent_hugepage/" + file + ", or set aside the " +
              std::to_string(pages) + " pages that the arenas may need (" + std::to_string(support.unreserved_pages) +
              " are free; fewer do with a lower Options::arena_bytes, --memory): sysctl vm.nr_hugepages=" +
              std::to_string(pages)};
}

void lock_in_memory(std::span<const Segment* const> segments) {
  std::size_t all = 0;
  for (const Segment* segment : segments) all += segment->size();
  for (const Segment* segment : segments) {
    // On fault: the rest of a segment has no memory yet, and most of an arena never gets any.
    if (::mlock2(segment->data(), segment->size(), MLOCK_ONFAULT) == 0) continue;
    const int error = errno;
    rlimit limit{};
    ::getrlimit(RLIMIT_MEMLOCK, &limit);
    throw StartError("mlock: can't keep " + std::to_string(all) + " bytes in memory (" + std::strerror(error) +
                     "): this process may lock " + limit_text(limit.rlim_cur) +
                     " bytes (RLIMIT_MEMLOCK); raise that with 'ulimit -l " + std::to_string((all >> 10) + 1) +
                     "' or LimitMEMLOCK=infinity in a unit, or lower Options::arena_bytes (--memory)");
  }
}

}  // namespace weir::shm
