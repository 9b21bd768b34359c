#include "bench/results_json.hpp"

#include <nlohmann/json.hpp>

namespace weir::bench {
namespace {

using Json = nlohmann::ordered_json;

Json named(const std::string& text) { return text.empty() ? Json() : Json(text); }

void add_subject(Json& json, const Subject& subject) {
  json["contender"] = named(subject.contender);
  json["mode"] = subject.mode ? Json(to_string(*subject.mode)) : Json();
  json["variant"] = named(subject.variant);
}

void add_spread(Json& json, const std::string& unit, const Spread& spread) {
  json["unit"] = unit;
  json["median"] = spread.median;
  json["min"] = spread.min;
  json["max"] = spread.max;
  json["runs"] = spread.runs;
}

Json side(const Side& side) {
  Json json;
  add_subject(json, side.subject);
  add_spread(json, side.unit, side.spread);
  return json;
}

Json result_json(const Result& result) {
  Json json;
  json["name"] = result.name;
  add_subject(json, result.subject);
  if (!result.failure.empty()) {
    json["failure"] = result.failure;
    return json;
  }
  add_spread(json, result.unit, result.spread);
  if (result.over && result.under) json["sides"] = {side(*result.over), side(*result.under)};
  if (result.target) {
    json["target"] = {{"bound", result.target->bound == Target::Bound::at_most ? "at most" : "at least"},
                      {"value", result.target->value}};
    json["verdict"] = to_string(*result.verdict());
  }
  return json;
}

Json machine_json(const MachineReport& machine) {
  Json json{{"processor", machine.processor},
            {"cores", machine.cores},
            {"kernel", machine.kernel},
            {"compiler", machine.compiler},
            {"flags", machine.flags},
            {"commit", machine.commit},
            {"pinned_to", {machine.near, machine.far}}};
  Json distances = Json::array();
  for (const tool::CoreDistance& one : machine.distances)
    distances.push_back({{"from", one.from}, {"to", one.to}, {"round_trip_ns", one.nanoseconds}});
  json["core_distances"] = std::move(distances);
  json["missing_contenders"] = machine.missing;
  return json;
}

}  // namespace

std::string to_json(const MachineReport& machine, const std::vector<Result>& results) {
  Json json{{"schema", "weir-bench"},
            {"schema_version", 1},
            {"machine", machine_json(machine)},
            {"results", Json::array()}};
  for (const Result& result : results) json["results"].push_back(result_json(result));
  return json.dump(2) + "\n";
}

}  // namespace weir::bench
