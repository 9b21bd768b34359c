#include "engine/machine/control_group.hpp"

#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace weir::machine {

namespace {

/// A mounted hierarchy of groups, as a line of mountinfo has it.
struct Mount {
  std::string top;      ///< the group that is seen at `point`
  std::string point;
  std::string type;     ///< "cgroup2", or "cgroup" for version 1
  std::string options;  ///< of version 1: its controllers, among others
};

/// A group that the process is in, or one above it.
struct Group {
  std::string folder;
  bool unified = false;  ///< of version 2
};

/// mountinfo writes a space as \040.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '\\' && text.find_first_not_of("01234567", i + 1) >= i + 4 && i + 3 < text.size();
    if (!escaped) plain += text[i];
    else plain += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8)), i += 3;
  }
  return plain;
}

/// "31 23 0:28 TOP POINT rw,relatime shared:9 - TYPE SOURCE OPTIONS"
std::optional<Mount> mount_from(const std::string& line) {
  std::istringstream words(line);
  Mount mount;
  std::string other;
  words >> other >> other >> other >> mount.top >> mount.point;
  while (words >> other && other != "-") {
  }
  if (!(words >> mount.type >> other >> mount.options)) return std::nullopt;
  mount.top = unescaped(mount.top);
  mount.point = unescaped(mount.point);
  return mount;
}

bool lists(const std::string& list, const std::string& name) {
  return ("," + list + ",").find("," + name + ",") != std::string::npos;
}

/// Of "4:cpu,cpuacct:/PATH", or "0::/PATH" for version 2, which has no controller here.
std::optional<std::string> path_of_process(const std::string& controller, const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t list = line.find(':'), path = line.find(':', list + 1);
    if (list == std::string::npos || path == std::string::npos) continue;
    if (lists(line.substr(list + 1, path - list - 1), controller)) return line.substr(path + 1);
  }
  return std::nullopt;
}

/// The part of the path below the group that is mounted: "" is that group itself. Nothing: it is somewhere else, as it
/// may be in a container.
std::optional<std::string> part_below(std::string_view top, std::string_view path) {
  if (top == "/") top = "";
  if (path == "/") path = "";
  const bool below = path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
  if (!below || path.find("/..") != path.npos) return std::nullopt;
  return std::string(path.substr(top.size()));
}

/// Those that may limit what the controller counts, the process's own before those above it.
std::vector<Group> groups_with(const std::string& controller, const std::string& root) {
  std::vector<Group> groups;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const auto mount = mount_from(line);
    const bool unified = mount && mount->type == "cgroup2";
    if (!unified && !(mount && mount->type == "cgroup" && lists(mount->options, controller))) continue;
    const auto path = path_of_process(unified ? "" : controller, root);
    auto below = path ? part_below(mount->top, *path) : std::nullopt;
    for (; below; below->resize(below->rfind('/'))) {
      groups.push_back({mount->point + *below, unified});
      if (below->empty()) break;
    }
  }
  return groups;
}

/// Nothing for "max", for -1 and for what is no number.
std::optional<double> positive_number(std::istream& from) {
  std::string word;
  long long number = 0;
  from >> word;
  std::istringstream digits(word);
  return digits >> number && digits.eof() && number > 0 ? std::optional(static_cast<double>(number)) : std::nullopt;
}

/// "QUOTA PERIOD"; version 1 has the period in a file beside it.
std::optional<double> quota_in(const std::string& path) {
  std::ifstream file(path), beside(path.substr(0, path.rfind('/')) + "/cpu.cfs_period_us");
  const auto quota = positive_number(file);
  auto period = positive_number(file);
  if (!period) period = positive_number(beside);
  return quota && period ? std::optional(*quota / *period) : std::nullopt;
}

std::optional<double> bytes_in(const std::string& path) {
  constexpr double kNoLimit = 1LL << 60;  // version 1 has a larger number where there is none
  std::ifstream file(path);
  const auto bytes = positive_number(file);
  return bytes && *bytes < kNoLimit ? bytes : std::nullopt;
}

/// What a controller limits, and where each version says it.
struct Limited {
  const char* controller;
  const char* unified_file;
  const char* old_file;
  std::optional<double> (*read)(const std::string& path);
};

std::optional<GroupLimit> smallest(const Limited& what, const std::string& root) {
  std::optional<GroupLimit> least;
  for (const Group& group : groups_with(what.controller, root)) {
    std::string file = group.folder + "/" + (group.unified ? what.unified_file : what.old_file);
    const auto amount = what.read(root + file);
    if (amount && (!least || *amount < least->amount)) least = {*amount, std::move(file)};
  }
  return least;
}

}  // namespace

std::optional<GroupLimit> cpu_quota(const std::string& root) {
  return smallest({"cpu", "cpu.max", "cpu.cfs_quota_us", quota_in}, root);
}

std::optional<GroupLimit> memory_limit(const std::string& root) {
  return smallest({"memory", "memory.max", "memory.limit_in_bytes", bytes_in}, root);
}

}  // namespace weir::machine
