// Files, pipes and standard streams as elements read and write them: opened with errors that say what to do,
// written so that nothing is lost and nothing half-written passes for whole. One thread per object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "weir/weir.hpp"

namespace weir::elements {

/// What the name of a file ends with that is not whole yet (OutputFile).
inline constexpr const char* kPart = ".part";

/// Throws Error: "can't <verb> <name>: <what errno means>; <advice>".
[[noreturn]] void fail_file(std::string_view verb, const std::string& name, int error,
                            std::string_view advice);

/// The regular file that a path names, through its links also where there is none yet at their end; else the path, "-" too.
[[nodiscard]] std::string through_links(const std::string& path);

/// Throws Error if the path can't become a file: a directory, read-only, in a directory that is not there or can't be
/// written, without room in its name for kPart; with "-", if the standard output is closed.
void check_output(const std::string& path);

/// ElementType::check_restart of elements that write to path=: throws Error where that is none that can be cut off, and
/// delivery is exactly_once.
void check_output_restart(const Dict& parameters, Delivery delivery);

/// A file descriptor that is closed at the end, unless it is a standard stream.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) noexcept : fd_(fd) {}
  ~FileDescriptor() { (void)close(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }
  void reset(int fd) noexcept { (void)close(), fd_ = fd; }
  int close() noexcept;  ///< 0, or errno

 private:
  int fd_;
};

/// Which file has been read: the part of a worker's state by which another process tells whether it still is that one.
struct ReadFile {
  std::uint64_t device = 0, inode = 0;  ///< 0: none yet, or no regular file
};

/// A file to read, or with "-" the standard input. Throws Error if it is missing, closed, a directory, or empty.
///
/// A regular file begins where it stood, and its descriptor goes on standing there: a worker's next process, whose standard
/// input is the same, finds the same beginning. As long as a "*.part" is read, no OutputFile takes it for its own.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  /// For a worker's file, which has to be the one that was read before, if any. Throws StartError where it is not, and
  /// where the worker is to read exactly once and what it has read is gone when its process dies.
  InputFile(const WorkerContext& ctx, const std::string& path, const ReadFile& before);
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// For messages: the path in quotes, or "the standard input".
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Bytes in it; nothing for what is not a regular file.
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept { return size_; }
  [[nodiscard]] const ReadFile& file() const noexcept { return file_; }
  /// A read would not wait. False: nobody has written into a pipe, or opened it, for a tenth of a second, and the caller
  /// should let its lane see whether the run is to end.
  [[nodiscard]] bool ready() const;
  /// Reads up to bytes.size(), 0 at the end, which that of a pipe is that its last writer has closed it. Nothing: it is
  /// not ready(). Throws Error.
  std::optional<std::size_t> read(std::span<std::byte> bytes);
  /// Of a regular file, for C callbacks that no exception may cross: what there is there, less at the end; -1: errno.
  [[nodiscard]] std::ptrdiff_t read_at(std::uint64_t position, std::span<std::byte> bytes) const noexcept;
  /// The next read of a regular file begins there.
  void seek(std::uint64_t position) noexcept { position_ = position; }

 private:
  std::string name_;
  FileDescriptor fd_;
  std::optional<std::uint64_t> size_;
  ReadFile file_;
  std::uint64_t begin_ = 0;  // where a regular file stood
  std::uint64_t position_ = 0;
};

/// What of a file has taken effect: the part of a worker's state from which another process goes on writing it.
struct WrittenFile {
  std::uint64_t bytes = 0;
  std::uint64_t device = 0, inode = 0;  ///< of the file that has them
  bool whole = false;                   ///< nothing follows: it is to get its name
};

/// A file to write, or with "-" the standard output.
///
/// A regular file appears under its name when commit() has found it whole. Until then it is `path` + kPart, which may be
/// there already, but only as a regular file and no link. That is what an error, a crash or a full disk leaves, with all
/// that was written: the earlier file stays untouched, and a part is never taken for the whole. Pipes and devices are
/// written to directly.
///
/// Written exactly once, whenever its process is killed (docs/faults.md): each poll begins with go_on(), which says what
/// has taken effect, writes behind that, and ends with progress(), which takes effect with the poll. What was written by
/// a poll that has not is written over by the poll that is done in its place, or cut off. Nothing waits in a buffer of
/// the process: it is with the kernel before the commit, and stays there when the process is killed. The file gets its
/// name after the commit that says that it is whole; the name tells whether that was done.
class OutputFile {
 public:
  /// Throws Error if it can't be written, or another OutputFile of any process is writing it.
  explicit OutputFile(const std::string& path);
  /// For a worker's file, of which this much has taken effect. Where it is a pipe that nobody reads yet it waits, and
  /// leaves with Interrupted when the worker is stopped. Throws StartError where its worker is to write exactly
  /// once and the file is none that can be cut off.
  OutputFile(const WorkerContext& ctx, const std::string& path, const WrittenFile& written);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// For messages: the path in quotes, or "the standard output".
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// Whether write_at() may go back.
  [[nodiscard]] bool seekable() const noexcept { return seekable_; }

  /// Appends. A pipe that nobody reads makes it wait, in steps, so that it leaves with Interrupted when the
  /// worker is stopped; one whose reader has gone is an Error, not a signal.
  void write(std::span<const std::byte> bytes, WorkerContext& ctx);
  /// Writes somewhere, for C callbacks that no exception may cross: false on failure, then fail() throws it.
  [[nodiscard]] bool write_at(std::uint64_t position, std::span<const std::byte> bytes) noexcept;
  [[nodiscard]] bool failed() const noexcept { return error_ != 0; }
  [[noreturn]] void fail() const;

  /// What is written from now on comes behind this much.
  void go_on(const WrittenFile& written) noexcept { size_ = written.bytes; }
  [[nodiscard]] WrittenFile progress(bool whole) noexcept;
  /// All is written: makes sure of it and gives the file its name. Again: nothing.
  void commit();

 private:
  void open(const WrittenFile& written, const WorkerContext* ctx);
  void open_in_place(bool is_pipe, const WorkerContext* ctx);
  void open_part();
  void go_on_with_part(const WrittenFile& written);
  [[nodiscard]] bool open_regular_part(int flags);
  void lock_part();
  /// Under its name is the file that was opened.
  [[nodiscard]] bool part_is_there() const noexcept;
  void write_some(std::span<const std::byte>& bytes, WorkerContext& ctx);

  std::string path_;
  std::string name_;
  std::string target_;  // the file itself, where path is a symbolic link
  std::string part_;    // empty: path is written directly
  FileDescriptor fd_;
  std::uint64_t size_ = 0;
  std::uint64_t device_ = 0, inode_ = 0;  // of the part
  bool seekable_ = false;
  bool whole_ = false;
  bool waits_ = false;  // a pipe, a socket or a terminal: a write may block
  int error_ = 0;       // errno of the first write that failed
};

}  // namespace weir::elements
