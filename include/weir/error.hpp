// What weir throws. Each message says what was expected, what was found, where (element, pad, file), and what
// to do. Full, empty, closed and timed out are results, not errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/types.h>

#include "weir/export.hpp"

namespace weir {

/// Base of everything that weir throws on misuse or failure.
class WEIR_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The graph is wrong: a name, a pad, a link, a cycle, a missing sink. Thrown while it is built or checked.
class WEIR_API GraphError : public Error {
 public:
  using Error::Error;
};

/// A parameter is unknown, of the wrong type or out of range.
class WEIR_API ParameterError : public Error {
 public:
  using Error::Error;
};

/// The spec (type, channels, rate) of a pad changed in mid-stream; the reference's ValueError.
class WEIR_API SpecError : public Error {
 public:
  using Error::Error;
};

/// A payload has another type than asked for, or can't cross to another process.
class WEIR_API PayloadError : public Error {
 public:
  using Error::Error;
};

/// Memory for payloads or rings is too small for what is asked.
class WEIR_API MemoryError : public Error {
 public:
  MemoryError(const std::string& what, std::size_t needed, std::size_t available)
      : Error(what), needed_bytes(needed), available_bytes(available) {}
  std::size_t needed_bytes;
  std::size_t available_bytes;
};

/// `sub_process_shutdown(timeout)` ran out of time.
class WEIR_API ShutdownTimeout : public Error {
 public:
  using Error::Error;
};

/// A worker process could not be started, or its control block is of another layout or build.
class WEIR_API StartError : public Error {
 public:
  using Error::Error;
};

/// An exception left an element's code; it arrives in the caller of `run()`.
class WEIR_API WorkerError : public Error {
 public:
  WorkerError(std::string element_name, std::string pad_name, std::uint64_t frame_number, std::string type_name,
              std::string message);
  std::string element;   ///< name of the element
  std::string pad;       ///< full name of the pad it last took a frame from; may be empty
  std::uint64_t frame;   ///< how many frames it had taken (a source: given) when it threw
  std::string type;      ///< type of the exception, demangled
  std::string text;      ///< its what()
};

/// A worker process ended by itself or by a signal.
class WEIR_API WorkerCrashed : public Error {
 public:
  WorkerCrashed(std::string element_name, pid_t process, int exit_code, int signal_number);
  std::string element;  ///< names of the lane's elements, joined by ", "
  pid_t pid;
  int exit_status;      ///< valid if signal is 0; -1 where it can't be read: the host reaps (SIGCHLD ignored), or a debugger holds it
  int signal;           ///< 0 if it exited
};

/// A worker did not come back from its poll before the deadline. A process was killed, a thread abandoned.
class WEIR_API WorkerStuck : public Error {
 public:
  using Error::Error;
};

/// Nothing can get on: elements wait for each other in a circle, in which a queue is too small. Where a stream is split
/// and joined again, the queue of one branch has to hold what the other takes before it gives.
class WEIR_API Deadlock : public Error {
 public:
  /// An element that waits for another, on the queue between two pads.
  struct Wait {
    std::string element;
    std::string source, sink;  ///< full names of the pads
    bool for_room = false;     ///< the queue is full; else it is empty, and the element waits for a frame
    std::size_t capacity = 0;  ///< of the queue, in frames
  };
  Deadlock(const std::string& what, std::vector<Wait> waits_in_circle, std::vector<Wait> other_waits,
           std::string narrow_queue, std::optional<std::size_t> smallest_capacity);
  std::vector<Wait> circle;  ///< each waits for the element of the next, the last for that of the first
  std::vector<Wait> others;
  std::string queue;         ///< the full one: the sink pad that it leads to
  /// The smallest that opens the circle, where the elements have said what they need (Element::frames_needed).
  std::optional<std::size_t> capacity;
};

/// Not an error: unwinds a worker's poll out of a queue wait when the run is stopped. Let it pass; what was
/// not taken stays with the caller and counts as left.
class WEIR_API Interrupted {};

}  // namespace weir
