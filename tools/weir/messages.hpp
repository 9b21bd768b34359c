// What the command says to people, on stderr: lines that begin with "weir: ".
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tools/weir/description.hpp"

namespace weir::tool {

/// Everything that is wrong with a pipeline, each with its place.
class PipelineProblems : public std::exception {
 public:
  explicit PipelineProblems(std::vector<DescriptionError> found) : problems(std::move(found)) {}
  [[nodiscard]] const char* what() const noexcept override { return problems.front().what(); }
  std::vector<DescriptionError> problems;  ///< never empty
};

/// Wrong arguments; ends the command with kUsage.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Each line of the message with "weir: " before it.
void say(std::string_view message);

/// The problems, each with the line of the pipeline that it is in. `pipeline` is the text, or the TOML file's
/// name.
void say(const std::vector<DescriptionError>& problems, const std::string& pipeline);

}  // namespace weir::tool
