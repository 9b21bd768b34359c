// Every acquire names its release: the labels of the sources, read as text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

namespace {

using testing::IsEmpty;
namespace fs = std::filesystem;

struct Line {
  std::string place;  // "shm/ring.hpp:46"
  std::string text;
};

/// The lines of all sources of the core, file by file.
std::vector<std::vector<Line>> sources() {
  std::vector<std::vector<Line>> files;
  for (const char* folder : {"include", "shm", "engine"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(WEIR_SOURCE_DIR) / folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".hpp" && extension != ".cpp") continue;
      std::ifstream file(entry.path());
      std::vector<Line>& lines = files.emplace_back();
      const std::string name = fs::relative(entry.path(), WEIR_SOURCE_DIR).string();
      for (std::string text; std::getline(file, text);)
        lines.push_back({name + ":" + std::to_string(lines.size() + 1), text});
    }
  }
  return files;
}

struct Label {
  std::vector<std::string> acquires, releases,
      bare;  // where it stands; bare: "SYNC bell.park:", both sides alike
};

std::map<std::string, Label> labels() {
  static const std::regex pattern(R"(SYNC\s+([A-Za-z_]+(?:\.[A-Za-z_]+)*)(?:\s*\((acquire|release)\))?)");
  std::map<std::string, Label> all;
  for (const auto& file : sources())
    for (const auto& [place, text] : file)
      for (std::sregex_iterator found(text.begin(), text.end(), pattern), end; found != end; ++found) {
        Label& label = all[(*found)[1]];
        const std::string order = (*found)[2];
        (order == "acquire"   ? label.acquires
         : order == "release" ? label.releases
                              : label.bare)
            .push_back(place);
      }
  return all;
}

TEST(SyncLabels, AreThere) { EXPECT_GE(labels().size(), 8u) << "the pattern no longer finds them"; }

TEST(SyncLabels, HaveAPartnerEach) {
  for (const auto& [name, label] : labels()) {
    for (const auto& place : label.acquires)
      EXPECT_FALSE(label.releases.empty()) << place << ": nobody releases " << name;
    for (const auto& place : label.releases)
      EXPECT_FALSE(label.acquires.empty()) << place << ": nobody acquires " << name;
    if (!label.bare.empty()) {
      EXPECT_GE(label.bare.size(), 2u) << label.bare[0] << ": " << name << " stands alone";
    }
  }
}

/// Memory orders that another thread pairs with. A fence's partner is a label, too.
bool orders(const std::string& text) {
  static const std::regex pattern("memory_order_(acquire|release|acq_rel|seq_cst)");
  return std::regex_search(text, pattern);
}

/// Whether a line from `above` to `below` of this one says so.
template <class Says>
bool near(const std::vector<Line>& file, std::size_t at, std::size_t above, std::size_t below, Says&& says) {
  for (std::size_t i = at - std::min(at, above); i < std::min(file.size(), at + below + 1); ++i)
    if (says(file[i].text)) return true;
  return false;
}

TEST(SyncLabels, StandAtEveryAcquireAndRelease) {
  std::vector<std::string> unlabelled;
  for (const auto& file : sources())
    for (std::size_t i = 0; i < file.size(); ++i) {
      const auto labelled = [](const std::string& text) { return text.find("SYNC ") != std::string::npos; };
      if (orders(file[i].text) && !near(file, i, 6, 1, labelled))
        unlabelled.push_back(file[i].place + ":" + file[i].text);
    }
  EXPECT_THAT(unlabelled, IsEmpty());
}

TEST(SyncLabels, StandWhereTheOrderIsWhatTheySay) {
  static const std::regex claim(R"(SYNC\s+[A-Za-z_.]+\s*\((acquire|release)\))");
  for (const auto& file : sources())
    for (std::size_t i = 0; i < file.size(); ++i) {
      std::smatch found;
      if (!std::regex_search(file[i].text, found, claim)) continue;
      const std::regex order("memory_order_(" + found[1].str() + "|acq_rel|seq_cst)");
      EXPECT_TRUE(
          near(file, i, 1, 5, [&](const std::string& text) { return std::regex_search(text, order); }))
          << file[i].place << ": no " << found[1] << " is near";
    }
}

}  // namespace
