#include "elements/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <ctime>
#include <filesystem>

namespace weir::elements {
namespace {

constexpr int kPatienceMs = 100;  // how long a pipe may keep a worker from seeing that the run ends
constexpr int kTryAgainMs = 5;    // whether a pipe has a reader by now can't be waited for
constexpr std::string_view kOutputAdvice = "check path=";

bool wait_for(int fd, short what) {
  pollfd state{.fd = fd, .events = what, .revents = 0};
  return ::poll(&state, 1, kPatienceMs) > 0;  // an error or a hang-up counts, too: the next call tells which
}

// Not waiting for the other end of a pipe; what is read and written then may wait. To a regular file that makes no
// difference, and a worker in a sandbox, which reads such, may not change it.
int open_at_once(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC);
  struct stat status {};
  if (fd < 0 || ::fstat(fd, &status) != 0 || S_ISREG(status.st_mode)) return fd;
  const int opened = ::fcntl(fd, F_GETFL);
  if ((opened & O_NONBLOCK) != 0) (void)::fcntl(fd, F_SETFL, opened & ~O_NONBLOCK);
  return fd;
}

// Writing to a pipe without reader sends SIGPIPE to the writing thread. While this lives it stays pending,
// and the write fails with EPIPE; one that came meanwhile is taken away, so nobody else's handler sees it.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::sigemptyset(&only_);
    ::sigaddset(&only_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &only_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec now{};
    if (!was_pending_) ::sigtimedwait(&only_, nullptr, &now);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t only_{}, before_{};
  bool was_pending_;
};

std::string in_quotes(const std::string& path) { return "'" + path + "'"; }
std::string name_of_output(const std::string& path) { return path == "-" ? "the standard output" : in_quotes(path); }

std::string not_exactly_once(const std::string& output) {
  return fmt::format("can't write {} exactly once: what it was given can't be taken back when the worker dies; give path= a "
                     "regular file, or leave restart= out",
                     output);
}

// What weir::keep_stdio() has put in the place of a closed one is open, but not for this.
void check_stream(std::string_view verb, const std::string& name, int fd, int unusable) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_ACCMODE) != unusable) return;
  throw Error(fmt::format("can't {0} {1}: it is closed, or not open to {0}; open it, or give path= a file",
                          verb, name));
}

}  // namespace

void fail_file(std::string_view verb, const std::string& name, int error, std::string_view advice) {
  throw Error(fmt::format("can't {} {}: {}; {}", verb, name, std::strerror(error), advice));
}

std::string through_links(const std::string& path) {
  constexpr int kMostLinks = 40;  // as the kernel
  std::filesystem::path file = path;
  std::error_code error;
  if (path == "-") return path;
  const std::filesystem::file_status status = std::filesystem::status(file, error);
  if (std::filesystem::is_regular_file(status)) return std::filesystem::canonical(file).string();
  if (status.type() != std::filesystem::file_type::not_found) return path;
  for (int links = 0; links < kMostLinks; ++links) {
    const std::filesystem::path target = std::filesystem::read_symlink(file, error);
    if (error) break;
    file = file.parent_path() / target;
  }
  return file.string();
}

void check_output(const std::string& path) {
  if (path == "-") return check_stream("write", name_of_output(path), STDOUT_FILENO, O_RDONLY);
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    if (S_ISREG(status.st_mode) && descriptor_named(path))
      throw Error(fmt::format(
          "can't write '{}': that is a descriptor, and the file behind it would be replaced; give path= that file",
          path));
    if (S_ISDIR(status.st_mode)) fail_file("write", in_quotes(path), EISDIR, "path= takes a file");
    if (::access(path.c_str(), W_OK) != 0) fail_file("write", in_quotes(path), errno, kOutputAdvice);
    if (!S_ISREG(status.st_mode)) return;
  } else if (errno != ENOENT || path.empty()) {
    fail_file("write", in_quotes(path), errno, kOutputAdvice);
  }
  // A part is written beside it, and takes its name.
  const std::filesystem::path file = through_links(path);
  if (file.filename().string().size() + std::strlen(kPart) > NAME_MAX)
    fail_file("write", in_quotes(path), ENAMETOOLONG, fmt::format("it is written as '*{}' first; shorten it", kPart));
  const std::string parent = file.parent_path().string();
  if (::access(parent.empty() ? "." : parent.c_str(), W_OK | X_OK) == 0) return;
  fail_file("write", in_quotes(path), errno, errno == ENOENT ? "make its directory first" : kOutputAdvice);
}

void check_output_restart(const Dict& parameters, Delivery delivery) {
  if (delivery != Delivery::exactly_once) return;
  const auto path = parameters.get<std::string>("path");
  struct stat status {};
  if (path == "-" || (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))
    throw Error(not_exactly_once(name_of_output(path)));
}

int FileDescriptor::close() noexcept {
  const int fd = std::exchange(fd_, -1);
  return fd <= STDERR_FILENO || ::close(fd) == 0 ? 0 : errno;
}

InputFile::InputFile(const std::string& path)
    : name_(path == "-" ? "the standard input" : in_quotes(path)), fd_(STDIN_FILENO) {
  if (path == "-")
    check_stream("read", name_, STDIN_FILENO, O_WRONLY);
  else
    fd_.reset(open_at_once(path, O_RDONLY));  // of a pipe the kernel says no end before it had a writer
  struct stat status {};
  if (fd_.get() < 0 || ::fstat(fd_.get(), &status) != 0) fail_file("open", name_, errno, "check path=");
  if (S_ISDIR(status.st_mode)) fail_file("read", name_, EISDIR, "path= takes a file");
  if (!S_ISREG(status.st_mode)) return;
  file_ = {status.st_dev, status.st_ino};
  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  begin_ = std::min(static_cast<std::uint64_t>(std::max<off_t>(::lseek(fd(), 0, SEEK_CUR), 0)), bytes);
  size_ = bytes - begin_;
  if (*size_ == 0) throw Error(fmt::format("{} is empty; path= takes a file with samples in it", name_));
  // See OutputFile::lock_part. What is being written may be read all the same.
  if (path.ends_with(kPart)) (void)::flock(fd(), LOCK_SH | LOCK_NB);
}

InputFile::InputFile(const WorkerContext& ctx, const std::string& path, const ReadFile& before) : InputFile(path) {
  if (before.inode != 0 && (before.inode != file_.inode || before.device != file_.device))
    throw StartError(fmt::format("can't go on reading {}: it is not the file any more that it was before its worker died; "
                                 "leave it alone while the pipeline runs",
                                 name_));
  if (!ctx.exactly_once() || size_) return;
  throw StartError(
      fmt::format("can't read {} exactly once: what was taken from a pipe is gone when the worker dies; give "
                  "path= a regular file, or leave restart= out",
                  name_));
}

std::ptrdiff_t InputFile::read_at(std::uint64_t position, std::span<std::byte> bytes) const noexcept {
  ssize_t count = 0;
  do count = ::pread(fd(), bytes.data(), bytes.size(), static_cast<off_t>(begin_ + position));
  while (count < 0 && errno == EINTR);
  return count;
}

bool InputFile::ready() const { return size_ || wait_for(fd(), POLLIN); }

std::optional<std::size_t> InputFile::read(std::span<std::byte> bytes) {
  if (!ready()) return std::nullopt;
  for (;;) {
    const ssize_t count = size_ ? read_at(position_, bytes) : ::read(fd(), bytes.data(), bytes.size());
    if (count >= 0) {
      position_ += static_cast<std::uint64_t>(count);
      return static_cast<std::size_t>(count);
    }
    if (errno == EAGAIN) return std::nullopt;  // a descriptor that the host made non-blocking
    if (errno != EINTR) fail_file("read", name_, errno, "check the file and its disk");
  }
}

OutputFile::OutputFile(const std::string& path)
    : path_(path),
      name_(name_of_output(path)),
      target_(through_links(path)),
      fd_(STDOUT_FILENO) {
  open({}, nullptr);
}

OutputFile::OutputFile(const WorkerContext& ctx, const std::string& path, const WrittenFile& written)
    : path_(path),
      name_(name_of_output(path)),
      target_(through_links(path)),
      fd_(STDOUT_FILENO) {
  open(written.bytes != 0 || written.whole ? written : WrittenFile{}, &ctx);
  if (ctx.exactly_once() && part_.empty() && !written.whole) throw StartError(not_exactly_once(name_));
}

void OutputFile::open(const WrittenFile& written, const WorkerContext* ctx) {
  struct stat status {};
  check_output(path_);
  if (path_ != "-") {
    const bool exists = ::stat(path_.c_str(), &status) == 0;
    if (exists && !S_ISREG(status.st_mode)) {
      open_in_place(S_ISFIFO(status.st_mode), ctx);
    } else {
      if (written.inode == 0) {
        open_part();
      } else if (written.whole && exists && status.st_ino == written.inode && status.st_dev == written.device) {
        fd_.reset(-1);  // it has its name
        seekable_ = true;
        return;
      } else {
        go_on_with_part(written);
      }
      if (exists) (void)::fchmod(fd_.get(), status.st_mode & 0777);  // as the file that it replaces
    }
  }
  if (::fstat(fd_.get(), &status) != 0) fail_file("write", name_, errno, kOutputAdvice);
  const bool regular = S_ISREG(status.st_mode);
  seekable_ = path_ != "-" && ::lseek(fd_.get(), 0, SEEK_CUR) >= 0;
  waits_ = !regular && !seekable_;
}

void OutputFile::open_in_place(bool is_pipe, const WorkerContext* ctx) {
  for (;;) {
    fd_.reset(open_at_once(path_, O_WRONLY));
    if (fd_.get() >= 0) return;
    if (errno != ENXIO || !is_pipe || !ctx) fail_file("open", name_, errno, kOutputAdvice);
    if (ctx->should_stop()) throw Interrupted();
    ::poll(nullptr, 0, kTryAgainMs);
  }
}

void OutputFile::open_part() {
  part_ = target_ + kPart;
  if (!open_regular_part(O_CREAT)) {
    const int error = errno;
    const std::string part = std::exchange(part_, {});
    if (error != ELOOP && error != ENXIO && error != EISDIR) fail_file("open", in_quotes(part), error, kOutputAdvice);
    throw Error(fmt::format("can't write {}: '{}', into which it is written first, is a link or no regular file; move it "
                            "away",
                            name_, part));
  }
  lock_part();
  if (::ftruncate(fd_.get(), 0) != 0) fail_file("write", in_quotes(part_), errno, kOutputAdvice);
}

// What is longer than what took effect was written by polls that did not.
void OutputFile::go_on_with_part(const WrittenFile& written) {
  part_ = target_ + kPart;
  struct stat status {};
  const bool same = open_regular_part(0) && ::fstat(fd_.get(), &status) == 0 && status.st_ino == written.inode &&
                    status.st_dev == written.device && static_cast<std::uint64_t>(status.st_size) >= written.bytes;
  if (!same) {
    const std::string part = std::exchange(part_, {});
    throw Error(
        fmt::format("can't go on writing {}: '{}' is not the file any more that it was before its worker died; "
                    "leave it alone while the pipeline runs",
                    name_, part));
  }
  lock_part();
  size_ = written.bytes;
  whole_ = written.whole;
  if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0)
    fail_file("write", in_quotes(part_), errno, kOutputAdvice);
}

// Somebody else may have put anything under that name: a link is not followed, and a pipe not waited for. Else errno.
bool OutputFile::open_regular_part(int flags) {
  fd_.reset(::open(part_.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0666));
  struct stat status {};
  if (fd_.get() < 0 || ::fstat(fd_.get(), &status) != 0) return false;
  if (!S_ISREG(status.st_mode)) return errno = ENXIO, false;  // as the open() of a pipe that nobody reads
  return true;
}

void OutputFile::lock_part() {
  struct stat opened {};
  const bool locked = ::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(fd_.get(), &opened) == 0;
  device_ = opened.st_dev;
  inode_ = opened.st_ino;
  if (!locked || !part_is_there()) {
    const std::string part = std::exchange(part_, {});
    throw Error(
        fmt::format("can't write {}: another element or program uses '{}', into which it is written first; give each "
                    "a path= of its own",
                    name_, part));
  }
}

bool OutputFile::part_is_there() const noexcept {
  struct stat named {};
  return !part_.empty() && ::lstat(part_.c_str(), &named) == 0 && named.st_ino == inode_ && named.st_dev == device_;
}

OutputFile::~OutputFile() {
  if (size_ == 0 && !whole_ && part_is_there()) ::unlink(part_.c_str());
}

WrittenFile OutputFile::progress(bool whole) noexcept {
  whole_ = whole;
  return {size_, device_, inode_, whole};
}

void OutputFile::write(std::span<const std::byte> bytes, WorkerContext& ctx) {
  if (seekable_) {
    if (!write_at(size_, bytes)) fail();
    return;
  }
  const WithoutSigpipe without_sigpipe;
  while (!bytes.empty()) write_some(bytes, ctx);
}

// One step of what can't seek: a pipe, or the standard output wherever it goes.
void OutputFile::write_some(std::span<const std::byte>& bytes, WorkerContext& ctx) {
  if (waits_ && !wait_for(fd_.get(), POLLOUT)) {
    if (ctx.should_stop()) throw Interrupted();
    return;
  }
  // A pipe that says it has room has this much.
  const std::size_t step = waits_ ? std::min<std::size_t>(bytes.size(), PIPE_BUF) : bytes.size();
  const ssize_t count = ::write(fd_.get(), bytes.data(), step);
  if (count >= 0) {
    size_ += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  } else if (errno != EINTR && errno != EAGAIN) {
    error_ = errno;
    fail();
  }
}

bool OutputFile::write_at(std::uint64_t position, std::span<const std::byte> bytes) noexcept {
  while (!bytes.empty() && error_ == 0) {
    const ssize_t count = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      error_ = count < 0 ? errno : EIO;
      break;
    }
    position += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    size_ = std::max(size_, position);
  }
  return error_ == 0;
}

void OutputFile::fail() const {
  std::string advice = error_ == EPIPE    ? "what reads it has ended"
                       : error_ == ENOSPC ? "make room, or choose another path="
                       : error_ == EFBIG  ? "raise the limit of file sizes (ulimit -f), if that is it"
                                          : "check path= and its disk";
  if (size_ != 0 && part_is_there()) advice += fmt::format("; what was written so far is in '{}'", part_);
  fail_file("write", name_, error_, advice);
}

void OutputFile::commit() {
  if (failed()) fail();
  if (part_.empty()) {
    error_ = fd_.close();
  } else {
    if (!part_is_there())
      throw Error(fmt::format("can't give {} its name: '{}' is not the file any more that was written; leave it alone "
                              "while the pipeline runs",
                              name_, part_));
    // Polls that were undone may have written more.
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) error_ = errno;
    // What is only found out when the bytes reach the disk, or its server, is found out here.
    if (error_ == 0 && ::fsync(fd_.get()) != 0 && errno != EINVAL && errno != ENOSYS) error_ = errno;
    if (error_ == 0 && ::rename(part_.c_str(), target_.c_str()) != 0) error_ = errno;
    const int closed = fd_.close();  // after the rename: whoever waits for the lock finds the part gone
    if (error_ == 0) error_ = closed;
  }
  if (failed()) fail();
  part_.clear();
}

}  // namespace weir::elements
