#include "tools/weir/twin_outputs.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include <weir/registry.hpp>

#include "tools/weir/description_parts.hpp"
#include "tools/weir/settings.hpp"

namespace weir::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPath = "path";
constexpr const char* kStandardStream = "-";

/// What the element's parameter `path` says; nothing if it has none.
std::optional<std::string> path_of(const ElementDescription& element) {
  const ElementType* type = find_element_type(element.type);
  if (type == nullptr) return std::nullopt;
  const auto parameter = std::ranges::find(type->parameters, kPath, &Parameter::name);
  if (parameter == type->parameters.end() || parameter->type != ParameterType::text) return std::nullopt;
  const auto setting = std::ranges::find(element.settings, kPath, &Setting::name);
  if (setting != element.settings.end()) return setting->text;
  return parameter->fallback ? std::optional(to_string(*parameter->fallback)) : std::nullopt;
}

bool is_sink(const ElementDescription& element) {
  const ElementType* type = find_element_type(element.type);
  return type != nullptr && type->source_pads.empty() && !type->more_source_pads;
}

bool may_be_regular_file(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return !path.empty() && (fs::is_regular_file(status) || !fs::exists(status));
}

fs::path make_directory_beside(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  std::string name = (parent / ".weir-compare-XXXXXX").string();
  if (::mkdtemp(name.data()) != nullptr) return name;
  throw std::runtime_error("can't make a directory beside '" + path + "' for what the threads write (" +
                           std::generic_category().message(errno) + "); check path=");
}

std::size_t read_block(std::ifstream& file, const std::string& path, std::vector<char>& block) {
  file.read(block.data(), static_cast<std::streamsize>(block.size()));
  if (file.bad())
    throw std::runtime_error("can't read '" + path + "' to compare it; check the file and its disk");
  return static_cast<std::size_t>(file.gcount());
}

OutputVerdict compare_files(const std::string& element, const std::string& path, const fs::path& twin) {
  OutputVerdict verdict{.element = element, .path = path};
  std::ifstream ours(path, std::ios::binary);
  std::ifstream theirs(twin, std::ios::binary);
  verdict.written = ours.is_open() && theirs.is_open();
  if (!verdict.written) return verdict;
  constexpr std::size_t kBlock = std::size_t{1} << 18;
  std::vector<char> a(kBlock);
  std::vector<char> b(kBlock);
  for (std::size_t n = kBlock; n == kBlock;) {
    n = read_block(ours, path, a);
    const std::size_t m = read_block(theirs, twin.string(), b);
    const std::size_t shorter = std::min(n, m);
    const auto same =
        static_cast<std::size_t>(std::mismatch(a.data(), a.data() + shorter, b.data()).first - a.data());
    if (!verdict.first_difference && (same < shorter || n != m))
      verdict.first_difference = verdict.bytes + same;
    verdict.bytes += n;
  }
  return verdict;
}

}  // namespace

bool writes_stdout(const Description& description) {
  return std::ranges::any_of(description.elements, [](const ElementDescription& element) {
    return is_sink(element) && path_of(element) == kStandardStream;
  });
}

void refuse_standard_streams(const Description& description) {
  for (const ElementDescription& element : description.elements) {
    if (path_of(element) != kStandardStream) continue;
    const auto setting = std::ranges::find(element.settings, kPath, &Setting::name);
    throw DescriptionError(
        setting != element.settings.end() ? setting->where : element.where,
        "element " + tool::quoted(element.name) +  // not std::quoted
            " has path=-, a standard stream, which several runs can't share; with --compare or "
            "--repeat give it a file");
  }
}

TwinOutputs::TwinOutputs(const Description& description) {
  std::vector<fs::path> directories;
  try {
    for (const ElementDescription& element : description.elements) {
      const std::optional<std::string> path = path_of(element);
      if (!path || !is_sink(element) || !may_be_regular_file(*path)) continue;
      directories.push_back(make_directory_beside(*path));
      twins_.push_back({element.name, *path, directories.back() / fs::path(*path).filename()});
    }
    if (!directories.empty()) janitor_.emplace(directories);
  } catch (...) {
    std::error_code ignored;
    for (const fs::path& directory : directories) fs::remove(directory, ignored);
    throw;
  }
}

Description TwinOutputs::redirected(Description description) const {
  for (const Twin& twin : twins_) {
    const auto element = std::ranges::find(description.elements, twin.element, &ElementDescription::name);
    const std::string path = twin.twin.string();
    put_setting(*element, {.name = kPath, .value = path, .text = path, .where = element->where});
  }
  return description;
}

std::vector<OutputVerdict> TwinOutputs::compare() const {
  std::vector<OutputVerdict> verdicts;
  for (const Twin& twin : twins_) verdicts.push_back(compare_files(twin.element, twin.path, twin.twin));
  return verdicts;
}

}  // namespace weir::tool
