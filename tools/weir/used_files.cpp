#include "tools/weir/used_files.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include <weir/stdio.hpp>

#include "elements/files.hpp"
#include "tools/weir/description_parts.hpp"
#include "tools/weir/messages.hpp"

namespace weir::tool {
namespace {

namespace fs = std::filesystem;

UsedFile used_file(const ElementDescription& element, const Parameter& parameter) {
  UsedFile file{.element = element.name,
                .parameter = parameter.name,
                .path = parameter.fallback ? weir::to_string(*parameter.fallback) : "",
                .use = parameter.path,
                .where = element.where};
  const auto setting = std::ranges::find(element.settings, parameter.name, &Setting::name);
  if (setting == element.settings.end()) return file;
  file.path = path_for(parameter.path, setting->text);
  file.where = setting->where;
  return file;
}

/// Who uses a file, as messages say it: an element, or an option.
struct Claim {
  std::string subject;  ///< "element 'a'"
  std::string name;     ///< "'a'"
  std::string path;
  PathUse use = PathUse::none;
  Where where = {};
  bool shares = false;  ///< writes behind what others of its kind write
  bool parted = false;  ///< writes into a part first (elements::OutputFile)
};

/// In the order of the elements; the pipeline's come last.
std::vector<Claim> claims_of(const Description& description) {
  std::vector<Claim> claims;
  for (const UsedFile& file : used_files(description)) {
    const std::string name = tool::shown_text(file.element);
    claims.push_back({.subject = "element " + name,
                      .name = name,
                      .path = file.path,
                      .use = file.use,
                      .where = file.where,
                      .parted = file.use == PathUse::writes});
  }
  const auto add_letters = [&](const std::vector<Setting>& settings, const std::string& whose) {
    const auto letters = std::ranges::find(settings, "dead_letters", &Setting::name);
    if (letters == settings.end() || letters->text.empty()) return;
    const std::string name = "dead_letters= of " + whose;
    claims.push_back({name, name, letters->text, PathUse::writes, letters->where, true});
  };
  for (const ElementDescription& element : description.elements)
    add_letters(element.settings, tool::shown_text(element.name));
  add_letters(description.settings, "the pipeline");
  return claims;
}

/// Absolute first: a relative path of which nothing is there yet would stay as it is.
fs::path place_of(const std::string& path) {
  std::error_code ignored;
  if (path == kStandardStream) return fs::weakly_canonical("/proc/self/fd/0", ignored);
  return fs::weakly_canonical(fs::absolute(elements::through_links(path), ignored), ignored);
}

/// By a hard link, too.
bool is_same_file(const fs::path& one, const fs::path& other) {
  std::error_code not_there;
  return one == other || fs::equivalent(one, other, not_there);
}

bool writes_in_place(const Claim& claim) { return claim.use == PathUse::writes && !claim.parted; }

/// Where the file of `writer` is before it is whole; empty where it is in its place at once.
fs::path part_of(const Claim& writer) {
  if (!writer.parted || !may_be_regular_file(writer.path)) return {};
  fs::path part = place_of(writer.path);
  return part += elements::kPart;
}

std::string advised(const std::string& what) { return what + "; give one of them another file"; }

std::string use_of(const Claim& claim) {
  const std::string shown = claim.path == kStandardStream ? "the standard input" : tool::shown_text(claim.path);
  return claim.subject + (claim.use == PathUse::writes ? " writes " : " reads ") + shown;
}

/// Where one uses what the other writes into before it has its name; empty elsewhere.
std::string conflict_over_part(const Claim& one, const Claim& other) {
  const bool to_standard_output = one.path == kStandardStream && one.use == PathUse::writes;
  const fs::path part = part_of(other);
  if (to_standard_output || part.empty() || !is_same_file(place_of(one.path), part)) return {};
  return advised(use_of(one) + ", into which " + other.name + " writes " + tool::shown_text(other.path) + " first");
}

/// Why the two can't both use it; empty if they can.
std::string conflict(const Claim& one, const Claim& other) {
  for (const auto& [user, writer] : {std::pair(&one, &other), std::pair(&other, &one)})
    if (const std::string what = conflict_over_part(*user, *writer); !what.empty()) return what;
  const bool one_writes = one.use == PathUse::writes, other_writes = other.use == PathUse::writes;
  if (one.path == kStandardStream || other.path == kStandardStream) {
    if (one.path != other.path || one_writes || other_writes) return {};
    return advised(use_of(one) + ", and so does " + other.name);
  }
  if ((!one_writes && !other_writes) || (one.shares && other.shares)) return {};
  if (!may_be_regular_file(one.path)) return {};
  const fs::path place = place_of(one.path), others_place = place_of(other.path);
  // A file that gets its name when it is whole takes it from another, and leaves that one's other names alone.
  const bool through_links = writes_in_place(one) || writes_in_place(other);
  if (through_links ? !is_same_file(place, others_place) : place != others_place) return {};
  return advised(use_of(one) + ", which " + other.name + (other_writes ? " writes" : " reads"));
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
  const std::vector<Claim> claims = claims_of(description);
  for (auto claim = claims.begin(); claim != claims.end(); ++claim) {
    for (auto other = claims.begin(); other != claim; ++other) {
      const std::string what = conflict(*claim, *other);
      if (what.empty()) continue;
      problems.emplace_back(claim->where, what);
      break;
    }
  }
}

void check_report_file(const std::string& path, const std::string& pipeline, const Description& description) {
  if (path.empty() || path == kStandardStream) return;
  const Claim report{"--json", "--json", path, PathUse::writes};
  std::vector<Claim> claims = claims_of(description);
  std::error_code none;
  if (fs::is_regular_file(pipeline, none)) claims.push_back({"", "the command", pipeline, PathUse::reads});
  for (const Claim& claim : claims)
    if (const std::string what = conflict(report, claim); !what.empty()) throw UsageError(what);
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
