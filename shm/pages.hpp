// What the machine says about huge pages, and locking segments in memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "shm/segment.hpp"

namespace weir::shm {

/// As the kernel tells it now.
struct HugePageSupport {
  std::string private_memory;      ///< who gets transparent ones: "always", "madvise", "never"; empty: nobody
  std::string shared_memory;       ///< the same: "always", "within_size", "advise", "never", "deny", "force"
  std::size_t page_bytes = 0;      ///< of a huge page
  std::size_t unreserved_pages = 0;  ///< set aside by the administrator, and taken by nobody
};
[[nodiscard]] HugePageSupport huge_page_support();

struct HugePageChoice {
  PageKind kind = PageKind::normal;
  std::string why_not;  ///< where it is normal: what is missing and what to do
};
/// For segments of `bytes` in all. Transparent ones come first: they are taken as they are needed. Those set aside
/// have to suffice for all of the segments, as a page that is missing later would end the process.
[[nodiscard]] HugePageChoice choose_huge_pages(const HugePageSupport& support, Segment::Sharing sharing,
                                               std::size_t bytes);

/// What has memory, or gets some, is not swapped out any more. Throws StartError with the limit and how to raise it.
void lock_in_memory(std::span<const Segment* const> segments);

}  // namespace weir::shm
