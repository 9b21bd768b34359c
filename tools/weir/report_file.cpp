#include "tools/weir/report_file.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <unistd.h>
#include <weir/registry.hpp>
#include <weir/stdio.hpp>

#include "tools/weir/messages.hpp"

namespace weir::tool {

std::string report_path(const std::string& given) {
  if (given.empty()) throw UsageError("--json takes a file, or - for the standard output");
  return path_for(PathUse::writes, given);
}

void check_report_path(const std::string& path) {
  if (path.empty() || path == "-") return;
  std::error_code ignored;
  const std::filesystem::path file(path);
  const std::filesystem::path parent = file.has_parent_path() ? file.parent_path() : ".";
  const bool exists = std::filesystem::exists(file, ignored);
  const bool writable = ::access(exists ? file.c_str() : parent.c_str(), W_OK) == 0;
  const int error = writable && std::filesystem::is_directory(file, ignored) ? EISDIR : errno;
  if (writable && error != EISDIR) return;
  throw UsageError("--json: can't write '" + path + "' (" + std::generic_category().message(error) +
                   "); check the path");
}

bool write_report(const std::string& path, const std::string& json) {
  // The file behind a descriptor may hold more than this report.
  std::ofstream file(path, std::ios::binary | (descriptor_named(path) ? std::ios::app : std::ios::trunc));
  file << json;
  file.close();
  if (file) return true;
  say("--json: can't write '" + path + "': " + std::generic_category().message(errno));
  return false;
}

}  // namespace weir::tool
