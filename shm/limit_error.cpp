#include "shm/limit_error.hpp"

#include <cerrno>
#include <cstring>

#include <sys/resource.h>

namespace weir::shm {

namespace {

std::string with_limit(int error, const char* what, __rlimit_resource resource, const char* option) {
  rlimit limit{};
  ::getrlimit(resource, &limit);
  const std::string text = std::strerror(error);
  if (limit.rlim_cur == RLIM_INFINITY) return text;  // it is another limit, the machine's or a control group's
  const std::string number = std::to_string(limit.rlim_cur);
  return text + "; the limit of " + what + " is " + number + ": raise it with 'ulimit " + option + "'";
}

}  // namespace

std::string file_error(int error) {
  if (error == EMFILE) return with_limit(error, "open files", RLIMIT_NOFILE, "-n");
  if (error == EFBIG) return with_limit(error, "bytes in a file", RLIMIT_FSIZE, "-f");
  return std::strerror(error);
}

std::string memory_error(int error) {
  if (error == ENOMEM)
    return with_limit(error, "bytes that a process maps", RLIMIT_AS, "-v', or lower Options::arena_bytes with '--memory");
  return std::strerror(error);
}

std::string start_error(int error) {
  if (error == EAGAIN) return with_limit(error, "a user's processes and threads", RLIMIT_NPROC, "-u");
  return file_error(error);
}

}  // namespace weir::shm
