// Kills one process of a test, once, at a labelled step of the engine (engine/fault.hpp): a worker, by its element's
// name, or a program that the test runs (rerun.hpp).
#pragma once

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "engine/fault.hpp"

namespace weir::test {

inline constexpr const char* kStepVariable = "WEIR_TEST_STEP";    // the label
inline constexpr const char* kWhoVariable = "WEIR_TEST_WHO";      // the element; "program"
inline constexpr const char* kTokenVariable = "WEIR_TEST_TOKEN";  // a file: who removes it dies

/// What process this is: the element of a worker, else "program".
inline std::string who_am_i() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  const std::size_t flag = line.find('\0') + 1, name = line.find('\0', flag) + 1;
  if (line.compare(flag, 13, "--weir-worker") != 0) return "program";
  return line.substr(name, line.find('\0', name) - name);
}

/// What processes that are started while it lives find in their environment.
class DeadlyStep {
 public:
  DeadlyStep(const std::string& label, const std::string& who, std::string token) : token_(std::move(token)) {
    ::close(::open(token_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ::setenv(kStepVariable, label.c_str(), 1);
    ::setenv(kWhoVariable, who.c_str(), 1);
    ::setenv(kTokenVariable, token_.c_str(), 1);
  }
  ~DeadlyStep() {
    for (const char* variable : {kStepVariable, kWhoVariable, kTokenVariable}) ::unsetenv(variable);
    ::unlink(token_.c_str());
  }
  DeadlyStep(const DeadlyStep&) = delete;
  DeadlyStep& operator=(const DeadlyStep&) = delete;
  [[nodiscard]] bool has_killed() const { return ::access(token_.c_str(), F_OK) != 0; }

 private:
  std::string token_;
};

/// In every process of the test, before main.
inline const bool is_armed = [] {
  const char* who = std::getenv(kWhoVariable);
  if (!who || who_am_i() != who) return false;
  engine::at_step = [](const char* name) {
    static const std::string label = std::getenv(kStepVariable), token = std::getenv(kTokenVariable);
    if (label == name && ::unlink(token.c_str()) == 0) ::kill(::getpid(), SIGKILL);
  };
  return true;
}();

}  // namespace weir::test
