// Tables, JSON and run logs of a comparison. See compare_output.h.
#include "tools/compare/compare_output.h"

#include <cerrno>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tools/run_log.h"
#include "tools/text.h"
#include "tools/text_table.h"

namespace lt::tool {
namespace {

constexpr uint64_t schema = 1;
constexpr size_t rows_limit = 12;  // of the table of steps

std::string text_of(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

double samples_per_second(const Comparison& comparison, const Side& side) {
  return static_cast<double>(side.batch_samples(comparison.data().train_info.count)) / side.median_step_seconds;
}

std::string speed_table(const Comparison& comparison) {
  const Side& base = comparison.sides().front();
  TextTable table(
      {"side", "device", "kernels", "precision", ">threads", ">median step, ms", ">samples/s", ">times as fast", ">arena"});
  for (const Side& side : comparison.sides())
    table.row({side.name, side.plan.device, side.plan.kernels, side.plan.precision, std::to_string(side.plan.threads),
               format_figure(1e3 * side.median_step_seconds), format_figure(samples_per_second(comparison, side)),
               text_of("%.2f", base.median_step_seconds / side.median_step_seconds), format_bytes(side.arena_bytes)});
  return table.text();
}

// The weights after a step; null where they were not looked at.
const WeightsApart* weights_at(const Side& side, uint64_t step) {
  for (const WeightsApart& apart : side.parting.weights)
    if (apart.step == step) return &apart;
  return nullptr;
}

// The steps after which weights were looked at; of many, every second, third ... and the last.
std::string step_table(const Comparison& comparison) {
  const std::vector<Side>& sides = comparison.sides();
  std::vector<std::string> columns = {">step", ">loss of " + sides[0].name};
  for (size_t i = 1; i < sides.size(); ++i) {
    columns.push_back(">of " + sides[i].name);
    columns.push_back(">apart by");
    columns.push_back(">weights by");
    columns.push_back(">of their way");
  }
  TextTable table(columns);
  const auto& looked_at = sides[1].parting.weights;
  const size_t stride = (looked_at.size() + rows_limit - 1) / rows_limit;
  for (size_t i = 1; i < looked_at.size(); ++i) {
    if (i % stride != 0 && i + 1 != looked_at.size()) continue;
    const uint64_t step = looked_at[i].step;
    std::vector<std::string> cells = {std::to_string(step), text_of("%.6f", sides[0].reports[step - 1].loss)};
    for (size_t side = 1; side < sides.size(); ++side) {
      cells.push_back(text_of("%.6f", sides[side].reports[step - 1].loss));
      cells.push_back(text_of("%.1e", sides[side].parting.loss_differences[step - 1]));
      const WeightsApart* const apart = weights_at(sides[side], step);
      cells.push_back(text_of("%.1e", apart->distance));
      cells.push_back(text_of("%.1e", apart->distance_of_move));
    }
    table.row(cells);
  }
  return table.text();
}

}  // namespace

std::string verdict_sentence(const Side& side, const Side& base) {
  const Verdict& verdict = side.verdict;
  const Bound& bound = side.bound;
  char text[512];
  if (verdict.agrees && verdict.loss == 0 && verdict.weights == 0) {
    std::snprintf(text, sizeof text, "has the same losses and weights as %s over %s, to the last bit", base.name.c_str(),
                  format_count_of(std::min<uint64_t>(bound.steps, side.reports.size()), "step").c_str());
  } else if (verdict.agrees) {
    std::snprintf(text, sizeof text,
                  "agrees with %s over %s: losses part by %.1e at most (step %" PRIu64 "), weights by %.1e (step %" PRIu64
                  "), the first update by %.1e of it; bounds %.0e, %.0e and %.0e (%s)",
                  base.name.c_str(), format_count_of(std::min<uint64_t>(bound.steps, side.reports.size()), "step").c_str(),
                  verdict.loss, verdict.loss_step, verdict.weights, verdict.weights_step, verdict.first_update, bound.loss,
                  bound.weights, bound.first_update, bound.why.c_str());
  } else if (!verdict.loss_agrees && verdict.first_loss_step == 1) {
    std::snprintf(text, sizeof text,
                  "differs from %s: the loss of step 1 is %.1e away, expected %.0e at most: the way forward differs (%s)",
                  base.name.c_str(), side.parting.loss_differences[0], bound.loss, bound.why.c_str());
  } else if (!verdict.first_update_agrees) {
    std::snprintf(text, sizeof text,
                  "differs from %s: the first update of the weights is %.1e of it away, %s the farthest, expected %.0e at "
                  "most; losses part by %.1e (%s)",
                  base.name.c_str(), verdict.first_update, verdict.first_update_tensor.c_str(), bound.first_update,
                  verdict.loss, bound.why.c_str());
  } else if (!verdict.loss_agrees) {
    std::snprintf(text, sizeof text,
                  "differs from %s: the loss of step %" PRIu64 " is %.1e away (the farthest, of step %" PRIu64
                  ", %.1e), expected %.0e at most (%s)",
                  base.name.c_str(), verdict.first_loss_step, side.parting.loss_differences[verdict.first_loss_step - 1],
                  verdict.loss_step, verdict.loss, bound.loss, bound.why.c_str());
  } else {
    std::snprintf(text, sizeof text,
                  "differs from %s: the weights after step %" PRIu64
                  " are %.1e away, %s the farthest, expected %.0e at most (%s)",
                  base.name.c_str(), verdict.first_weights_step, weights_at(side, verdict.first_weights_step)->distance,
                  verdict.tensor.c_str(), bound.weights, bound.why.c_str());
  }
  return side.name + " " + text;
}

void print_comparison(const Comparison& comparison, StandardOutput* out) {
  const Side& base = comparison.sides().front();
  out->print("%s on %s, batch %s, seed %" PRIu64 ", %s\n\n", base.plan.model, comparison.data().train_info.name,
             format_count(base.batch_samples(comparison.data().train_info.count)).c_str(), base.plan.seed,
             format_count_of(comparison.options().steps, "step").c_str());
  out->write(speed_table(comparison) + "\n" + step_table(comparison) + "\n");
  for (const Side& side : comparison.sides())
    if (&side != &base) out->write(verdict_sentence(side, base) + "\n");
}

void print_comparison_json(const Comparison& comparison, StandardOutput* out) {
  using nlohmann::json;
  const Side& base = comparison.sides().front();
  json sides = json::array();
  for (const Side& side : comparison.sides()) {
    json losses = json::array(), seconds = json::array();
    for (const lt_report& report : side.reports) losses.push_back(report.loss), seconds.push_back(report.seconds);
    json about = {{"name", side.name},
                  {"device", side.plan.device},
                  {"device_name", side.plan.device_name},
                  {"kernels", side.plan.kernels},
                  {"precision", side.plan.precision},
                  {"threads", side.plan.threads},
                  {"arena_bytes", side.arena_bytes},
                  {"median_step_seconds", side.median_step_seconds},
                  {"samples_per_second", samples_per_second(comparison, side)},
                  {"times_as_fast", base.median_step_seconds / side.median_step_seconds},
                  {"step_seconds", seconds},
                  {"losses", losses}};
    if (&side != &base) {
      json weights = json::array();
      for (const WeightsApart& apart : side.parting.weights)
        weights.push_back({{"step", apart.step},
                           {"distance", apart.distance},
                           {"distance_of_move", apart.distance_of_move},
                           {"farthest_tensor", apart.tensor},
                           {"farthest_tensor_distance", apart.tensor_distance}});
      const Verdict& verdict = side.verdict;
      about["loss_differences"] = side.parting.loss_differences;
      about["weights"] = weights;
      about["bound"] = {{"loss", side.bound.loss},
                        {"weights", side.bound.weights},
                        {"first_update", side.bound.first_update},
                        {"steps", side.bound.steps},
                        {"for", side.bound.why}};
      about["largest_loss_difference"] = verdict.loss;
      about["largest_weights_distance"] = verdict.weights;
      about["first_update_distance"] = verdict.first_update;
      about["agrees"] = verdict.agrees;
      about["verdict"] = verdict_sentence(side, base);
    }
    sides.push_back(about);
  }
  const json root = {{"type", "compare"},
                     {"schema", schema},
                     {"version", lt_build_info()},
                     {"commit", lt_build_commit()},
                     {"model", base.plan.model},
                     {"parameters", base.plan.parameters},
                     {"data", comparison.data().train_info.name},
                     {"batch", base.batch_samples(comparison.data().train_info.count)},
                     {"seed", base.plan.seed},
                     {"steps", comparison.options().steps},
                     {"base", base.name},
                     {"sides", sides},
                     {"agrees", comparison.agrees()}};
  out->write(root.dump() + "\n");
}

bool log_comparison(const Comparison& comparison, const std::string& path) {
  const Side& base = comparison.sides().front();
  for (const Side& side : comparison.sides()) {
    RunLog log;
    if (!log.open(path, &side != &base)) {
      complain("cannot open the run log %s: %s", path.c_str(), std::strerror(errno));
      return false;
    }
    RunFacts facts;
    facts.command = comparison.options().what.command;
    facts.model = short_model(facts.command, side.plan.model);
    facts.data = comparison.data().train_info.name;
    facts.plan = side.plan;
    facts.arena_bytes = side.arena_bytes;
    facts.train_samples = comparison.data().train_info.count;
    facts.test_samples = comparison.data().test_info.count;
    facts.side = side.name;
    facts.base = &side == &base ? "" : base.name;
    log.run(facts);
    log.plan(side.plan_handle.get());
    RunEnd end;
    end.steps = side.reports.size();
    end.arena_bytes = side.arena_bytes;
    end.median_step_seconds = side.median_step_seconds;
    for (const lt_report& report : side.reports) {
      end.seconds += report.seconds;
      if (&side == &base) {
        log.step(report);
      } else {
        const WeightsApart* const apart = weights_at(side, report.step);
        log.step(report, side.parting.loss_differences[report.step - 1], apart != nullptr ? apart->distance : NAN);
      }
    }
    const ExitCode code = side.verdict.agrees || &side == &base ? ExitCode::ok : ExitCode::numeric;
    const std::string difference = code == ExitCode::ok ? "" : verdict_sentence(side, base);
    end.status = exit_name(code);
    end.exit_code = static_cast<int>(code);
    end.error = difference.c_str();
    JsonRecord record = end_record(facts, end);
    log.end(record.line());
    if (!log.close()) return false;
  }
  return true;
}

}  // namespace lt::tool
