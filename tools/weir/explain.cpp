#include "tools/weir/explain.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "tools/weir/numbers.hpp"
#include "tools/weir/table.hpp"
#include "tools/weir/version_text.hpp"

namespace weir::tool {
namespace {

using nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

std::string rate_or_dash(std::optional<double> rate) { return rate ? scaled(*rate, {}) : "-"; }
std::string number_or_dash(std::size_t number) { return number == 0 ? "-" : with_commas(number); }

ordered_json link_json(const LinkExplanation& link) {
  return {{"source", link.source},
          {"sink", link.sink},
          {"kind", link.kind},
          {"capacity", link.capacity},
          {"frames_per_second", link.frame_rate ? ordered_json(*link.frame_rate) : ordered_json()},
          {"ring_bytes", link.ring_bytes},
          {"overflow", to_string(link.overflow)},
          {"wait", to_string(link.wait)},
          {"why", link.why}};
}

ordered_json lane_json(const LaneExplanation& lane) {
  return {{"name", lane.name},
          {"runs_on", lane.runs_on},
          {"elements", lane.elements},
          {"cpus", lane.cpus},
          {"realtime", lane.realtime},
          {"wait", to_string(lane.wait)},
          {"why", lane.why}};
}

}  // namespace

std::string to_text(const Explanation& explanation) {
  Table links({{"link"},
               {"by"},
               {"frames", Align::right},
               {"frames/s", Align::right},
               {"bytes", Align::right},
               {"overflow"},
               {"wait"},
               {"why"}});
  for (const LinkExplanation& link : explanation.links)
    links.add({link.source + " > " + link.sink, link.kind, number_or_dash(link.capacity),
               rate_or_dash(link.frame_rate), number_or_dash(link.ring_bytes),
               link.capacity == 0 ? "-" : std::string(to_string(link.overflow)), std::string(to_string(link.wait)),
               link.why});
  Table lanes({{"lane"}, {"runs on"}, {"CPUs"}, {"priority", Align::right}, {"wait"}, {"elements"}, {"why"}});
  for (const LaneExplanation& lane : explanation.lanes)
    lanes.add({lane.name, lane.runs_on, cpus_text(lane.cpus),
               lane.realtime == 0 ? "-" : std::to_string(lane.realtime), std::string(to_string(lane.wait)),
               fmt::format("{}", fmt::join(lane.elements, ", ")), lane.why});
  std::string text = links.text() + "\n" + lanes.text();
  for (const std::string& warning : explanation.warnings) text += "\nwarning: " + warning + "\n";
  return text;
}

std::string to_json(const Explanation& explanation, const std::string& pipeline) {
  ordered_json json{{"schema", "weir-explanation"},
                    {"schema_version", kSchemaVersion},
                    {"weir_version", version_text()},
                    {"pipeline", pipeline},
                    {"links", ordered_json::array()},
                    {"lanes", ordered_json::array()},
                    {"warnings", explanation.warnings}};
  for (const LinkExplanation& link : explanation.links) json["links"].push_back(link_json(link));
  for (const LaneExplanation& lane : explanation.lanes) json["lanes"].push_back(lane_json(lane));
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace weir::tool
