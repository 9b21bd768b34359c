// Kills one process of a test, once, at a labelled step of the engine (engine/fault.hpp): a worker, by its element's
// name, or a program that the test runs (rerun.hpp). Where two labels are named, with a blank between, the process that
// takes its place is killed at the second.
#pragma once

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "engine/fault.hpp"

namespace weir::test {

inline constexpr const char* kStepVariable = "WEIR_TEST_STEP";    // the labels
inline constexpr const char* kWhoVariable = "WEIR_TEST_WHO";      // the element; "program"
inline constexpr const char* kTokenVariable = "WEIR_TEST_TOKEN";  // a file for each, numbered: who removes it dies

/// What process this is: the element of a worker, else "program".
inline std::string who_am_i() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  const std::size_t flag = line.find('\0') + 1, name = line.find('\0', flag) + 1;
  if (line.compare(flag, 13, "--weir-worker") != 0) return "program";
  return line.substr(name, line.find('\0', name) - name);
}

struct DeadlyLabel {
  std::string label, token;
};
inline std::vector<DeadlyLabel> deadly_labels(const std::string& labels, const std::string& token) {
  std::vector<DeadlyLabel> all;
  std::istringstream words(labels);
  for (std::string label; words >> label;) all.push_back({label, token + "." + std::to_string(all.size())});
  return all;
}
inline bool is_there(const std::string& file) { return ::access(file.c_str(), F_OK) == 0; }

/// What processes that are started while it lives find in their environment.
class DeadlyStep {
 public:
  DeadlyStep(const std::string& labels, const std::string& who, const std::string& token)
      : labels_(deadly_labels(labels, token)) {
    for (const DeadlyLabel& label : labels_)
      ::close(::open(label.token.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ::setenv(kStepVariable, labels.c_str(), 1);
    ::setenv(kWhoVariable, who.c_str(), 1);
    ::setenv(kTokenVariable, token.c_str(), 1);
  }
  ~DeadlyStep() {
    for (const char* variable : {kStepVariable, kWhoVariable, kTokenVariable}) ::unsetenv(variable);
    for (const DeadlyLabel& label : labels_) ::unlink(label.token.c_str());
  }
  DeadlyStep(const DeadlyStep&) = delete;
  DeadlyStep& operator=(const DeadlyStep&) = delete;
  /// At each of the labels.
  [[nodiscard]] bool has_killed() const {
    return std::ranges::none_of(labels_, is_there, &DeadlyLabel::token);
  }

 private:
  std::vector<DeadlyLabel> labels_;
};

/// In every process of the test, before main.
inline const bool is_armed = [] {
  const char* who = std::getenv(kWhoVariable);
  if (!who || who_am_i() != who) return false;
  engine::at_step = [](const char* name) {
    static const auto labels = deadly_labels(std::getenv(kStepVariable), std::getenv(kTokenVariable));
    static const auto next = std::ranges::find_if(labels, is_there, &DeadlyLabel::token);
    if (next != labels.end() && next->label == name && ::unlink(next->token.c_str()) == 0) ::kill(::getpid(), SIGKILL);
  };
  return true;
}();

}  // namespace weir::test
