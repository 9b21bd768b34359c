#include "engine/sandbox_landlock.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include <sys/syscall.h>
#include <unistd.h>

#include "weir/error.hpp"

namespace weir::engine {

namespace {

// landlock(7); newer than the headers of older systems.
constexpr long kCreateRuleset = 444, kRestrictSelf = 446;
constexpr std::uint32_t kAskVersion = 1;

struct Ruleset {
  std::uint64_t files, net, scopes;
};

constexpr std::uint64_t lowest_bits(unsigned count) { return (std::uint64_t{1} << count) - 1; }

/// All that this version can handle.
Ruleset all_of(long version) {
  const unsigned files = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
  return {lowest_bits(files), version >= 4 ? lowest_bits(2) : 0, version >= 6 ? lowest_bits(2) : 0};
}
std::size_t bytes_of(long version) { return version >= 6 ? 24 : version >= 4 ? 16 : 8; }

[[noreturn]] void fail(const char* what) {
  throw StartError(std::string("sandbox=strict: Landlock: ") + what + ": " + std::strerror(errno));
}

}  // namespace

void restrict_by_landlock() {
  const long version = ::syscall(kCreateRuleset, nullptr, 0, kAskVersion);
  if (version < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) return;
  if (version < 1) fail("can't ask for its version");
  const Ruleset ruleset = all_of(version);
  const auto fd = static_cast<int>(::syscall(kCreateRuleset, &ruleset, bytes_of(version), 0));
  if (fd < 0) fail("can't make rules");
  const long result = ::syscall(kRestrictSelf, fd, 0);
  ::close(fd);
  if (result != 0) fail("can't follow them");
}

}  // namespace weir::engine
