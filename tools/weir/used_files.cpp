#include "tools/weir/used_files.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include <weir/stdio.hpp>

#include "elements/files.hpp"
#include "tools/weir/description_parts.hpp"

namespace weir::tool {
namespace {

namespace fs = std::filesystem;

UsedFile used_file(const ElementDescription& element, const Parameter& parameter) {
  UsedFile file{.element = element.name,
                .parameter = parameter.name,
                .path = parameter.fallback ? to_string(*parameter.fallback) : "",
                .use = parameter.path,
                .where = element.where};
  const auto setting = std::ranges::find(element.settings, parameter.name, &Setting::name);
  if (setting == element.settings.end()) return file;
  file.path = path_for(parameter.path, setting->text);
  file.where = setting->where;
  return file;
}

bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return fs::weakly_canonical(a, ignored) == fs::weakly_canonical(b, ignored);
}

/// Why the two can't both use it; empty if they can.
std::string conflict(const UsedFile& one, const UsedFile& other) {
  const bool one_writes = one.use == PathUse::writes, other_writes = other.use == PathUse::writes;
  if (one.path == kStandardStream || other.path == kStandardStream) {
    if (one.path != other.path || one_writes || other_writes) return {};
    return "reads the standard input, and so does " + tool::shown_text(other.element) +
           "; give one of them a file";
  }
  if (!one_writes && !other_writes) return {};
  if (!may_be_regular_file(one.path) || !is_same_file(one.path, other.path)) return {};
  return std::string(one_writes ? "writes " : "reads ") + tool::shown_text(one.path) + ", which " +
         tool::shown_text(other.element) + (other_writes ? " writes" : " reads") +
         "; give one of them another file";
}

/// Throws what the element itself would.
void probe(const UsedFile& file) {
  std::error_code ignored;
  if (file.path != kStandardStream && fs::is_other(fs::status(file.path, ignored)))
    return;  // a pipe's other end may not be there yet
  if (file.use == PathUse::writes)
    elements::check_output(file.path);
  else
    (void)elements::InputFile(file.path);
}

}  // namespace

std::vector<UsedFile> used_files(const Description& description) {
  std::vector<UsedFile> files;
  for (const ElementDescription& element : description.elements) {
    const ElementType* type = find_element_type(element.type);
    if (type == nullptr) continue;
    for (const Parameter& parameter : type->parameters) {
      if (parameter.path == PathUse::none) continue;
      UsedFile file = used_file(element, parameter);
      if (!file.path.empty()) files.push_back(std::move(file));
    }
  }
  return files;
}

bool may_be_regular_file(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return path != kStandardStream && !descriptor_named(path) && (fs::is_regular_file(status) || !fs::exists(status));
}

void check_shared_files(const Description& description, std::vector<DescriptionError>& problems) {
  const std::vector<UsedFile> files = used_files(description);
  for (auto file = files.begin(); file != files.end(); ++file) {
    for (auto other = files.begin(); other != file; ++other) {
      const std::string what = conflict(*file, *other);
      if (what.empty()) continue;
      problems.emplace_back(file->where, "element " + tool::shown_text(file->element) + " " + what);
      break;
    }
  }
}

std::vector<DescriptionError> find_unusable_files(const Description& description) {
  std::vector<DescriptionError> found;
  for (const UsedFile& file : used_files(description)) {
    try {
      probe(file);
    } catch (const Error& error) {
      found.emplace_back(file.where,
                         "now element " + tool::shown_text(file.element) + " would fail: " + error.what());
    }
  }
  return found;
}

}  // namespace weir::tool
