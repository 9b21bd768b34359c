#include "tools/weir/twin_outputs.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "tools/weir/description_parts.hpp"
#include "tools/weir/settings.hpp"
#include "tools/weir/used_files.hpp"

namespace weir::tool {
namespace {

namespace fs = std::filesystem;

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
  return std::ranges::any_of(used_files(description), [](const UsedFile& file) {
    return file.use == PathUse::writes && file.path == kStandardStream;
  });
}

void refuse_standard_streams(const Description& description) {
  for (const UsedFile& file : used_files(description)) {
    if (file.path != kStandardStream) continue;
    throw DescriptionError(file.where, "element " + tool::shown_text(file.element) +  // not std::quoted
                                           " has " + file.parameter +
                                           "=-, a standard stream, which several runs can't share; give it a file");
  }
}

TwinOutputs::TwinOutputs(const Description& description) {
  std::vector<fs::path> directories;
  try {
    for (const UsedFile& file : used_files(description)) {
      if (file.use != PathUse::writes || !may_be_regular_file(file.path)) continue;
      directories.push_back(make_directory_beside(file.path));
      twins_.push_back(
          {file.element, file.parameter, file.path, directories.back() / fs::path(file.path).filename()});
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
    put_setting(element->settings, {.name = twin.parameter, .value = path, .text = path, .where = element->where});
  }
  return description;
}

std::vector<OutputVerdict> TwinOutputs::compare() const {
  std::vector<OutputVerdict> verdicts;
  for (const Twin& twin : twins_) verdicts.push_back(compare_files(twin.element, twin.path, twin.twin));
  return verdicts;
}

}  // namespace weir::tool
