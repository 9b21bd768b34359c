// The second lock of a sandbox, where the kernel has it: what Landlock can forbid is forbidden, without exception. The
// filter of system calls refuses all of it already; this holds where the filter should have a hole.
#pragma once

namespace weir::engine {

/// From now on the calling thread, which has given up new privileges, opens no file, binds and connects no TCP port, and
/// reaches no abstract socket and no process outside, as far as this kernel's Landlock knows these. Does nothing where
/// it has none; throws StartError where it has one that refuses.
void restrict_by_landlock();

}  // namespace weir::engine
