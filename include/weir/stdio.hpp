// The standard streams, where a process was started without one of them, and the paths that name them.
#pragma once

#include <optional>
#include <string>

#include "weir/export.hpp"

namespace weir {

/// Puts something in the place of standard streams that are closed. Else a file that is opened later becomes one, and
/// what is printed goes into it. What stands there can't be used: reading the standard input, or writing the other two,
/// fails with EBADF as before, here and in the processes started from here. Call it first in main(). Worker processes
/// do so by themselves.
WEIR_API void keep_stdio() noexcept;

/// The descriptor of this process that a path names, as /dev/stdout, /dev/fd/1 and /proc/self/fd/1 do, and links to
/// those. Nothing where it names a file.
[[nodiscard]] WEIR_API std::optional<int> descriptor_named(const std::string& path);

}  // namespace weir
