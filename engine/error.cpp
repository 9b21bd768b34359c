#include "weir/error.hpp"

#include <cstring>

namespace weir {

namespace {

/// Where, how far, and what. The type only where it is the user's own: the messages of weir's and of the standard
/// library's say what there is to say.
std::string describe_throw(const std::string& element, const std::string& pad, std::uint64_t frame,
                           const std::string& type, const std::string& message) {
  std::string text = "element '" + element + "'";
  if (frame > 0) text += (pad.empty() ? "" : ", pad '" + pad + "'") + ", frame " + std::to_string(frame);
  text += ": " + message;
  return type.starts_with("weir::") || type.starts_with("std::") ? text : text + " (" + type + ")";
}

}  // namespace

WorkerError::WorkerError(std::string element_name, std::string pad_name, std::uint64_t frame_number,
                         std::string type_name, std::string message)
    : Error(describe_throw(element_name, pad_name, frame_number, type_name, message)),
      element(std::move(element_name)),
      pad(std::move(pad_name)),
      frame(frame_number),
      type(std::move(type_name)),
      text(std::move(message)) {}

namespace {
std::string describe_end(int exit_code, int signal_number) {
  if (signal_number == 0 && exit_code < 0) return "ended, and its status can't be read, as this program reaps its children or a debugger holds it,";
  if (signal_number == 0) return "exited with status " + std::to_string(exit_code);
  const char* name = ::sigabbrev_np(signal_number);
  return "was killed by signal " + std::to_string(signal_number) + (name ? std::string(" (SIG") + name + ")" : "");
}
}  // namespace

WorkerCrashed::WorkerCrashed(std::string element_name, pid_t process, int exit_code, int signal_number)
    : Error("the worker process of '" + element_name + "' (pid " + std::to_string(process) + ") " +
            describe_end(exit_code, signal_number) + " before its streams had ended"),
      element(std::move(element_name)),
      pid(process),
      exit_status(exit_code),
      signal(signal_number) {}

Deadlock::Deadlock(const std::string& what, std::vector<Wait> waits_in_circle, std::vector<Wait> other_waits,
                   std::string narrow_queue, std::optional<std::size_t> smallest_capacity)
    : Error(what),
      circle(std::move(waits_in_circle)),
      others(std::move(other_waits)),
      queue(std::move(narrow_queue)),
      capacity(smallest_capacity) {}

}  // namespace weir
