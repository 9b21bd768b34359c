#include "engine/process_look.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include <sys/syscall.h>

namespace weir::engine {

namespace {

std::string line_of(pid_t pid, const char* file) {
  std::ifstream stream("/proc/" + std::to_string(pid) + "/" + file);
  std::string line;
  std::getline(stream, line);
  return line;
}

/// Those that sleep. Not all of them exist on every machine.
std::string name_of_call(long number) {
  static constexpr auto kNames = std::to_array<std::pair<long, std::string_view>>({
      {SYS_read, "read"}, {SYS_write, "write"}, {SYS_readv, "readv"}, {SYS_writev, "writev"}, {SYS_openat, "openat"},
      {SYS_fsync, "fsync"}, {SYS_flock, "flock"}, {SYS_ioctl, "ioctl"}, {SYS_futex, "futex"},
      {SYS_nanosleep, "nanosleep"}, {SYS_clock_nanosleep, "clock_nanosleep"}, {SYS_ppoll, "ppoll"},
      {SYS_pselect6, "pselect6"}, {SYS_epoll_pwait, "epoll_pwait"}, {SYS_accept, "accept"}, {SYS_accept4, "accept4"},
      {SYS_connect, "connect"}, {SYS_recvfrom, "recvfrom"}, {SYS_recvmsg, "recvmsg"}, {SYS_sendto, "sendto"},
      {SYS_sendmsg, "sendmsg"}, {SYS_wait4, "wait4"}, {SYS_waitid, "waitid"},
#ifdef SYS_poll
      {SYS_poll, "poll"}, {SYS_select, "select"}, {SYS_epoll_wait, "epoll_wait"}, {SYS_pause, "pause"},
#endif
  });
  const auto found = std::ranges::find(kNames, number, &std::pair<long, std::string_view>::first);
  return found != kNames.end() ? std::string(found->second) : "system call " + std::to_string(number);
}

}  // namespace

char state_of(pid_t pid) {
  const std::string text = line_of(pid, "stat");
  const std::size_t name_end = text.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= text.size() ? '\0' : text[name_end + 2];
}

std::optional<std::uint64_t> cpu_ns_of(pid_t pid) {
  const std::string line = line_of(pid, "schedstat");  // time on a CPU, time waiting for one, time slices
  std::uint64_t ns = 0;
  const bool is_number = std::from_chars(line.data(), line.data() + line.size(), ns).ec == std::errc();
  return is_number ? std::optional(ns) : std::nullopt;
}

std::string whereabouts(pid_t pid) {
  const char state = state_of(pid);
  if (state == 'T') return "it is stopped by a signal";
  if (state == 't') return "it is stopped by a debugger";
  if (state == 'R') return "it computes";
  if (state == '\0' || state == 'Z' || state == 'X') return "it is gone";
  std::string text = "it sleeps";
  const std::string call = line_of(pid, "syscall");  // "running", or the number and its arguments
  if (!call.empty() && call.front() >= '0' && call.front() <= '9') text += " in " + name_of_call(std::stol(call));
  const std::string place = line_of(pid, "wchan");
  if (!place.empty() && place != "0") text += " (kernel: " + place + ")";
  return text;
}

}  // namespace weir::engine
