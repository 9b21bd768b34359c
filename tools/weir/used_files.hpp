// The files that elements read and write, by the parameters that name them, and what is wrong with them.
#pragma once

#include <string>
#include <vector>

#include <weir/registry.hpp>

#include "tools/weir/description.hpp"

namespace weir::tool {

inline constexpr const char* kStandardStream = "-";

struct UsedFile {
  std::string element;
  std::string parameter;
  std::string path;  ///< as the element gets it (path_for); never empty
  PathUse use = PathUse::none;
  Where where;  ///< of the setting, or of the element if it is the default
};

/// In the order of the elements. Elements of unknown types use none.
std::vector<UsedFile> used_files(const Description& description);

/// Whether the path names a regular file, or may come to. What a descriptor is open for is not named by its path.
bool may_be_regular_file(const std::string& path);

/// Elements that would be in each other's way: two write one file, one writes what another reads, two read
/// the standard input, one uses what another writes into before its file is whole. Dead letters are written as well.
void check_shared_files(const Description& description, std::vector<DescriptionError>& problems);

/// Throws UsageError if the report, written to `path`, would replace what the pipeline reads or writes, or the
/// pipeline's own file.
void check_report_file(const std::string& path, const std::string& pipeline, const Description& description);

/// What a run would fail at as the files are now: inputs that are missing or empty, outputs that can't be
/// written.
std::vector<DescriptionError> find_unusable_files(const Description& description);

}  // namespace weir::tool
