// Segment: a piece of memory for rings, bells, arenas and control blocks; private to the process, or shared with
// those that get its file descriptor.
//
// Shared ones are memfds: POSIX shared memory that never has a name, so that nothing is left behind whoever is
// killed when, of mode 0600, and sealed against changing size, so that no neighbour can cut it off under a reader.
// Move-only; unmaps and closes at the end. Creating and attaching throw; the rest is noexcept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::shm {

/// The pages behind a segment.
enum class PageKind : std::uint8_t {
  normal,
  transparent,  ///< huge where the kernel finds some
  reserved,     ///< huge, of those that the administrator has set aside; taken for the whole segment when it is made
};

class Segment {
 public:
  enum class Sharing : bool { private_memory, shared };
  enum class Access : bool { read_only, read_write };

  Segment() = default;
  /// Zeroed memory of `bytes`, reserved but not committed. `what` names it in errors and in /proc/PID/maps.
  /// Reserved pages make it longer, up to a whole number of them. A `place` is the caller's, who keeps it free.
  static Segment create(Sharing sharing, std::size_t bytes, std::string_view what, PageKind pages = PageKind::normal,
                        void* place = nullptr);
  /// Maps what `fd` holds, which has to be `bytes` long or longer; takes the descriptor over.
  static Segment attach(int fd, std::size_t bytes, std::string_view what, PageKind pages = PageKind::normal);
  /// The same at a place of the caller's. Read-only: the descriptor becomes one that can't be mapped otherwise, so that
  /// this process has no way back to writing.
  static Segment attach_at(void* place, int fd, std::size_t bytes, std::string_view what, Access access);
  Segment(Segment&& other) noexcept;
  Segment& operator=(Segment&& other) noexcept;
  ~Segment();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
  [[nodiscard]] int fd() const noexcept { return fd_; }  ///< -1 if private
  [[nodiscard]] bool shared() const noexcept { return fd_ >= 0; }
  template <class T>
  [[nodiscard]] T* at(std::size_t offset) const noexcept {
    return reinterpret_cast<T*>(data_ + offset);
  }
  /// Makes sure that these bytes have memory behind them. Throws MemoryError instead of letting the first touch
  /// end the process.
  void commit(std::size_t offset, std::size_t bytes) const;
  /// The same for private memory, too, and at once: no later touch in this process is a page fault.
  void populate(std::size_t offset, std::size_t bytes) const;

 private:
  static Segment adopt(int fd, std::size_t bytes, std::string_view what, PageKind pages);
  void map(PageKind pages, std::string_view what, void* place = nullptr, Access access = Access::read_write);

  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  int fd_ = -1;
  PageKind pages_ = PageKind::normal;
};

/// The descriptor, moved above the three of standard input, output and error if it is one of them: a program that
/// runs without those must not print into shared memory.
[[nodiscard]] int keep_off_stdio(int fd) noexcept;

/// What the system, and the control group, can still give, in bytes.
[[nodiscard]] std::size_t available_memory();

}  // namespace weir::shm
