// Results for programs: see formats.h and bench/schema/bench.json.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "src/lean_train.h"
#include "tools/bench/formats.h"
#include "tools/report/published.h"

namespace lt::tool {
namespace {

using Json = nlohmann::ordered_json;

constexpr int schema = 1;

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }
Json or_null(uint64_t number) { return number == 0 ? Json() : Json(number); }
Json known(double value) { return value < 0 || !std::isfinite(value) ? Json() : Json(value); }
Json positive(double value) { return value > 0 ? Json(value) : Json(); }

Json peak_json(const PeakPair& peak) {
  const MachinePeak &before = peak.before, &after = peak.after;
  return {
      {"threads", peak.threads},
      {"vectors", before.kernel},
      {"fp32_flops_per_second", {before.flops_per_second, after.flops_per_second}},
      {"bf16_kernel", or_null(std::string(before.bf16_kernel))},
      {"bf16_flops_per_second", {positive(before.bf16_flops_per_second), positive(after.bf16_flops_per_second)}},
      {"read_and_write_bytes_per_second", {before.read_and_write_bytes_per_second, after.read_and_write_bytes_per_second}}};
}

Json machine_json(const BenchResult& result) {
  const Machine& machine = result.machine;
  Json caches = Json::array(), devices = Json::array(), peaks = Json::array();
  for (const Cache& cache : machine.caches)
    caches.push_back({{"level", cache.level}, {"type", cache.type}, {"bytes", cache.bytes}, {"cpus", cache.cpus}});
  for (const DeviceLine& device : machine.devices)
    devices.push_back({{"name", device.name}, {"usable", device.usable}, {"description", device.description}});
  for (const PeakPair& peak : result.peaks) peaks.push_back(peak_json(peak));
  return {{"cpu", machine.cpu},
          {"cpus", machine.cpus},
          {"cpus_usable", machine.cpus_usable},
          {"memory_bytes", machine.memory_bytes},
          {"kernel", machine.kernel},
          {"libc", machine.libc},
          {"caches", caches},
          {"devices", devices},
          {"peaks_before_and_after", peaks}};
}

Json row_json(const BenchResult& result, const Row& row) {
  const Configuration& asked = row.asked;
  Json json = {{"model", asked.model}, {"status", row_state_name(row.state)}};
  json["reason"] = or_null(row.reason);
  json["asked"] = {{"device", or_null(asked.device)},
                   {"kernels", or_null(asked.kernels)},
                   {"precision", or_null(asked.precision)},
                   {"batch", or_null(uint64_t{asked.batch})},
                   {"threads", or_null(uint64_t{asked.threads})}};
  if (row.repetitions.empty()) return json;
  const RowFigures figures = figures_of(result, row);
  const Measurement& one = row.repetitions[0];
  const std::string noise = noise_in(result, row);
  json["device"] = one.device;
  json["device_name"] = one.device_name;
  json["kernels"] = one.kernels;
  json["precision"] = one.precision;
  json["threads"] = one.threads;
  json["batch"] = one.batch;
  json["optimizer"] = one.optimizer;
  json["data"] = one.data;
  json["parameters"] = one.parameters;
  json["median_step_seconds"] = figures.step.median;
  json["p95_step_seconds"] = figures.step.p95;
  json["mean_step_seconds"] = figures.step.mean;
  json["deviation_step_seconds"] = figures.step.deviation;
  json["least_step_seconds"] = figures.step.least;
  json["samples_per_second"] = figures.samples_per_second;
  json["nominal_operations"] = one.nominal_operations;
  json["real_operations"] = one.real_operations;
  json["nominal_share_of_peak"] = known(figures.nominal_share);
  json["real_share_of_peak"] = known(figures.real_share);
  json["data_wait_share"] = figures.data_wait_share;
  json["arena_bytes"] = one.arena_bytes;
  json["peak_anonymous_bytes"] = figures.peak_anonymous_bytes;
  json["peak_rss_bytes"] = figures.peak_rss_bytes;
  json["first_step_seconds"] = figures.first_step_seconds;
  json["quiet"] = noise.empty();
  json["noise"] = or_null(noise);
  json["load"] = {{"others_share", row.load.others}, {"stolen_share", row.load.stolen}, {"waited_share", row.waited}};
  Json repetitions = Json::array();
  for (const Measurement& repetition : row.repetitions)
    repetitions.push_back({{"median_step_seconds", median_of(repetition.step_seconds)},
                           {"first_step_seconds", repetition.first_step_seconds},
                           {"peak_anonymous_bytes", repetition.peak_anonymous_bytes},
                           {"timed_steps", repetition.timed_steps},
                           {"step_seconds", repetition.step_seconds}});
  json["repetitions"] = repetitions;
  json["weights_bytes"] = one.weights_bytes;
  return json;
}

std::vector<Json> published_json(const BenchResult& result) {
  std::vector<Json> all;
  if (!result.published) return all;
  for (const PublishedFigure& figure : published_figures()) {
    const auto of_model = [&](const Row& row) { return row.asked.model == figure.recipe; };
    if (std::none_of(result.rows.begin(), result.rows.end(), of_model)) continue;
    all.push_back({{"model", figure.recipe},
                   {"program", figure.program},
                   {"hardware", figure.hardware},
                   {"figure", figure.figure},
                   {"samples_per_second", figure.samples_per_second},
                   {"test_accuracy", known(figure.test_accuracy)},
                   {"source", figure.source}});
  }
  return all;
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json typed(const char* type, const Json& members) {
  Json json = {{"type", type}};
  json.update(members);
  return json;
}

}  // namespace

std::string format_json(const BenchResult& result, bool one_object_a_line) {
  Json head = {{"type", "bench"},
               {"schema", schema},
               {"date", result.date},
               {"version", lt_build_info()},
               {"commit", or_null(std::string(lt_build_commit()))},
               {"repetitions", result.repetitions},
               {"warm_up_steps", result.warm_up_steps},
               {"seconds", result.seconds},
               {"machine", machine_json(result)}};
  const std::vector<Json> published = published_json(result);
  if (one_object_a_line) {
    std::string text = dump(head, -1);
    for (const Row& row : result.rows) text += dump(typed("row", row_json(result, row)), -1);
    for (const Json& figure : published) text += dump(typed("published", figure), -1);
    return text;
  }
  head["rows"] = Json::array();
  for (const Row& row : result.rows) head["rows"].push_back(row_json(result, row));
  head["published"] = published;
  return dump(head, 1);
}

}  // namespace lt::tool
