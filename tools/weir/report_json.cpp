#include "tools/weir/report_json.hpp"

#include <algorithm>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "tools/weir/version_text.hpp"

namespace weir::tool {
namespace {

using nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

template <class T>
ordered_json or_null(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json link_json(const LinkReport& link) {
  return {{"source", link.source},
          {"sink", link.sink},
          {"kind", link.kind},
          {"capacity", link.capacity},
          {"overflow", to_string(link.overflow)},
          {"produced", link.produced},
          {"delivered", link.delivered},
          {"dropped_by_policy", link.dropped_by_policy},
          {"dropped", link.dropped},
          {"left", link.left},
          {"lost", link.lost},
          {"balances", link.balances()},
          {"samples", link.samples},
          {"gaps", link.gaps},
          {"dropped_samples", link.dropped_samples},
          {"payload_copies", link.payload_copies},
          {"full", link.full},
          {"empty", link.empty}};
}

ordered_json bottleneck_json(const std::optional<Bottleneck>& bottleneck) {
  if (!bottleneck) return nullptr;
  return {{"lane", bottleneck->lane},
          {"elements", bottleneck->elements},
          {"waited_for", bottleneck->waited_for},
          {"waited", bottleneck->waited}};
}

ordered_json tight_queue_json(const std::optional<TightQueue>& queue) {
  if (!queue) return nullptr;
  return {{"source", queue->source},
          {"sink", queue->sink},
          {"capacity", queue->capacity},
          {"full", queue->full},
          {"empty", queue->empty}};
}

ordered_json restarts_json(const std::vector<RestartReport>& restarts) {
  ordered_json json = ordered_json::array();
  for (const RestartReport& restart : restarts)
    json.push_back({{"pid", restart.pid},
                    {"signal", restart.signal},
                    {"exit_status", restart.exit_status},
                    {"error", restart.error},
                    {"seconds", restart.seconds}});
  return json;
}

ordered_json dead_letters_json(const std::vector<DeadLetterReport>& letters) {
  ordered_json json = ordered_json::array();
  for (const DeadLetterReport& letter : letters)
    json.push_back({{"pad", letter.pad},
                    {"number", letter.number},
                    {"time", letter.time},
                    {"cause", letter.cause},
                    {"file", letter.file}});
  return json;
}

ordered_json element_json(const ElementReport& element, const std::string& type) {
  return {{"name", element.name},
          {"type", type},
          {"mode", to_string(element.mode)},
          {"lane", element.lane},
          {"pid", element.pid > 0 ? ordered_json(element.pid) : ordered_json(nullptr)},
          {"polls", element.polls},
          {"ended", element.ended},
          {"killed", element.killed},
          {"restarts", restarts_json(element.restarts)},
          {"refused", element.refused},
          {"dead_letters", dead_letters_json(element.dead_letters)}};
}

ordered_json stop_json(const std::optional<StopReport>& stop) {
  if (!stop) return nullptr;
  ordered_json elements = ordered_json::array();
  for (const ElementStop& element : stop->elements)
    elements.push_back({{"name", element.element},
                        {"ending", to_string(element.ending)},
                        {"drained", element.drained},
                        {"discarded", element.discarded},
                        {"where", element.where.empty() ? ordered_json(nullptr) : ordered_json(element.where)}});
  return {{"seconds", stop->seconds}, {"elements", elements}};
}

ordered_json run_json(const RunRecord& record, const std::unordered_map<std::string, std::string>& types) {
  ordered_json json{{"mode", to_string(record.mode)},
                    {"round", record.round},
                    {"started", record.report.has_value()},
                    {"completed", record.report && record.report->completed},
                    {"interruption", to_string(record.interruption)},
                    {"errors", record.errors}};
  if (!record.report) return json;
  const Report& report = *record.report;
  json["frames"] = report.frames;
  json["samples"] = report.samples;
  for (const Measure& measure : measures()) json[measure.key] = or_null(measure.of(report));
  json["latency_count"] = report.latency.count();
  json["balances"] = report.balances();
  json["bottleneck"] = bottleneck_json(report.bottleneck);
  json["tight_queue"] = tight_queue_json(report.tight_queue);
  json["warnings"] = report.warnings;
  json["stop"] = stop_json(report.stop);
  for (const char* list : {"links", "elements", "lanes"}) json[list] = ordered_json::array();
  for (const LinkReport& link : report.links) json["links"].push_back(link_json(link));
  for (const ElementReport& element : report.elements) {
    const auto type = types.find(element.name);
    json["elements"].push_back(element_json(element, type == types.end() ? element.type : type->second));
  }
  for (const LaneReport& lane : report.lanes)
    json["lanes"].push_back({{"name", lane.name}, {"cpu_seconds", lane.cpu_seconds}, {"parks", lane.parks}});
  return json;
}

ordered_json summary_json(const Session& session) {
  ordered_json json = ordered_json::object();
  for (const Mode mode : modes_of(session.options)) {
    ordered_json& of_mode = json[std::string(to_string(mode))] = ordered_json::object();
    for (const Measure& measure : measures()) {
      const auto spread = spread_of(session, mode, measure);
      of_mode[measure.key] = nullptr;
      if (spread)
        of_mode[measure.key] = {{"median", spread->median}, {"min", spread->min}, {"max", spread->max}};
    }
  }
  return json;
}

ordered_json comparison_json(const Session& session) {
  if (!session.options.compare) return nullptr;
  ordered_json ratios = ordered_json::object();
  for (const Measure& measure : measures()) ratios[measure.key] = or_null(ratio_of(session, measure));
  ordered_json outputs = ordered_json::array();
  for (const OutputVerdict& output : session.outputs)
    outputs.push_back({{"element", output.element},
                       {"path", output.path},
                       {"bytes", output.bytes},
                       {"written", output.written},
                       {"identical", output.identical()},
                       {"first_difference", or_null(output.first_difference)}});
  const bool compared = session.complete && !session.outputs.empty();
  return {{"complete", session.complete},
          {"identical", compared ? ordered_json(session.identical()) : ordered_json(nullptr)},
          {"outputs", outputs},
          {"ratios", ratios}};
}

}  // namespace

std::string to_json(const Session& session) {
  std::unordered_map<std::string, std::string> types;
  for (const ElementDescription& element : session.description.elements) types[element.name] = element.type;
  ordered_json runs = ordered_json::array();
  for (const RunRecord& record : session.runs) runs.push_back(run_json(record, types));
  const ordered_json json{{"schema", "weir-report"},
                          {"schema_version", kSchemaVersion},
                          {"weir_version", version_text()},
                          {"pipeline", session.pipeline},
                          {"status", session.status()},
                          {"exit_code", static_cast<int>(session.exit_code())},
                          {"rounds", session.options.rounds},
                          {"errors", session.errors},
                          {"runs", runs},
                          {"summary", summary_json(session)},
                          {"comparison", comparison_json(session)}};
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace weir::tool
