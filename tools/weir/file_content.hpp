// What can be read of a file.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

namespace weir::tool {

/// Empty where there is none, and as much as there was where it ends meanwhile: the files of a process under /proc fail
/// when it ends. Does not throw, as reading through an istreambuf_iterator would.
[[nodiscard]] inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return std::move(content).str();
}

}  // namespace weir::tool
