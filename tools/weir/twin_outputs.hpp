// The files that a pipeline writes, twice: processes write them where the user said, threads write twins of
// the same names in hidden directories beside them, on the same disk. The twins are gone with this object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/weir/description.hpp"
#include "tools/weir/janitor.hpp"

namespace weir::tool {

/// Whether an element writes to the standard output.
bool writes_stdout(const Description& description);

/// Throws DescriptionError if an element reads or writes a standard stream, which can be done once only.
void refuse_standard_streams(const Description& description);

struct OutputVerdict {
  std::string element;
  std::string path;
  bool written = false;  ///< by both
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> first_difference =
      {};  ///< offset of the first byte that differs; the shorter's size
  [[nodiscard]] bool identical() const noexcept { return written && !first_difference; }
};

class TwinOutputs {
 public:
  /// Finds the files that elements write; devices and pipes are left as they are.
  /// Throws std::runtime_error where there can be no directory beside one.
  explicit TwinOutputs(const Description& description);

  /// The same pipeline, writing the twins.
  [[nodiscard]] Description redirected(Description description) const;
  /// Byte for byte. Throws std::runtime_error if a file can't be read.
  [[nodiscard]] std::vector<OutputVerdict> compare() const;

 private:
  struct Twin {
    std::string element;
    std::string parameter;
    std::string path;
    std::filesystem::path twin;
  };
  std::vector<Twin> twins_;
  std::optional<Janitor> janitor_;
};

}  // namespace weir::tool
