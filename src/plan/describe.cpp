// The memory table that --plan prints: segments, operations with their kernels, tensors with place and lifetime.
#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "src/plan/plan.h"

namespace lt {
namespace {

const char* const segment_names[segment_count] = {"parameters", "state", "activations", "scratch", "staging"};

// "conv2d + bias + max_pool + relu + dropout"
std::string op_title(const Op& op) {
  std::string title = op_kind_name(op.kind);
  if (op.units != 0)
    title = std::string(op.cell == Cell::gru ? "gru " : "lstm ") + std::to_string(op.units) +
            (op.directions == 2 ? " both ways" : "") + (op.kind == OpKind::recurrent_backward ? " backward" : "");
  if (op.only_last_step) title += ", last step";
  if (op.rows_per_sample > 1) title += " of " + std::to_string(op.rows_per_sample) + " steps";
  if (op.has_bias) title += " + bias";
  if (op.residual != no_tensor) title += " + residual";
  if (op.has_pool) title += " + max_pool";
  if (op.has_relu) title += " + relu";
  if (op.dropout > 0) title += " + dropout";
  if (op.folded_update) title += std::string(" + ") + op_kind_name(*op.folded_update);
  return title;
}

// The layers whose weight is updated in their backward op.
std::vector<std::string> folded_layers(const Program& program) {
  std::vector<std::string> layers;
  for (const Op& op : program.ops)
    if (op.folded_update) layers.push_back(op.layer);
  return layers;
}

std::vector<TensorId> tensors_by_offset(const Plan& plan) {
  std::vector<TensorId> order;
  for (TensorId id = 0; id < plan.program.tensors.size(); ++id) order.push_back(id);
  std::stable_sort(order.begin(), order.end(), [&](TensorId a, TensorId b) {
    const Tensor &x = plan.program.tensors[a], &y = plan.program.tensors[b];
    return x.offset != y.offset ? x.offset < y.offset : x.bytes > y.bytes;
  });
  return order;
}

__attribute__((format(printf, 2, 3))) void append(std::string* text, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  *text += line;
}

}  // namespace

std::string plan_text(const Plan& plan) {
  const Program& program = plan.program;
  std::string text;
  append(&text, "%s on %s: %" PRIu64 " parameters, %s", plan.recipe.name.c_str(), plan.device_name.c_str(),
         plan.parameter_count(),
         plan.recipe.batch == 0 ? "full batch" : ("batch " + std::to_string(plan.recipe.batch)).c_str());
  append(&text, ", micro-batch %u", program.micro_batch);
  if (program.inference)
    text += ", inference alone";
  else
    append(&text, ", optimizer %s", optimizer_name(plan.recipe.optimizer));
  if (plan.calibration)
    append(&text, ", activations calibrated in fp32 (an arena of %" PRIu64 " bytes, given back)",
           plan.calibration->program.region_bytes);
  for (const std::string& layer : folded_layers(program)) append(&text, ", folded into %s", layer.c_str());
  text += "\n\n";
  append(&text, "%-12s %14s %14s\n", "segment", "offset", "bytes");
  for (uint32_t i = 0; i < segment_count; ++i)
    append(&text, "%-12s %14" PRIu64 " %14" PRIu64 "\n", segment_names[i], plan.segments[i].offset, plan.segments[i].bytes);
  append(&text, "%-12s %14s %14" PRIu64 "\n\n", "arena", "", program.region_bytes);
  append(&text, "%3s  %-10s %-46s %-28s %12s\n", "op", "layer", "operation", "kernel", "scratch");
  for (size_t i = 0; i < program.ops.size(); ++i)
    append(&text, "%3zu  %-10s %-46s %-28s %12" PRIu64 "\n", i, program.ops[i].layer.c_str(),
           op_title(program.ops[i]).c_str(), plan.needs[i].kernel, plan.needs[i].scratch_bytes);
  append(&text, "\n%14s %14s  %-5s %s\n", "offset", "bytes", "ops", "tensor");
  for (const TensorId id : tensors_by_offset(plan)) {
    const Tensor& tensor = program.tensors[id];
    append(&text, "%14" PRIu64 " %14" PRIu64 "  %2u-%-2u %s%s\n", tensor.offset, tensor.bytes, tensor.first_op,
           tensor.last_op, tensor.part_of == no_tensor ? "" : "  ", tensor.name.c_str());
  }
  return text;
}

std::string plan_json(const Plan& plan) {
  using nlohmann::json;
  const Program& program = plan.program;
  json root = {{"type", "plan"},
               {"model", plan.recipe.name},
               {"device", plan.device_name},
               {"parameters", plan.parameter_count()},
               {"batch", plan.recipe.batch},
               {"micro_batch", program.micro_batch},
               {"optimizer", optimizer_name(plan.recipe.optimizer)},
               {"folded_updates", folded_layers(program)},
               {"arena_bytes", program.region_bytes},
               {"weights_bytes", plan.weights_bytes()}};
  if (plan.calibration) root["calibration_arena_bytes"] = plan.calibration->program.region_bytes;
  for (uint32_t i = 0; i < segment_count; ++i) {
    root[std::string(segment_names[i]) + "_bytes"] = plan.segments[i].bytes;
    root["segments"].push_back(
        {{"name", segment_names[i]}, {"offset", plan.segments[i].offset}, {"bytes", plan.segments[i].bytes}});
  }
  for (size_t i = 0; i < program.ops.size(); ++i)
    root["ops"].push_back({{"layer", program.ops[i].layer},
                           {"operation", op_title(program.ops[i])},
                           {"kernel", plan.needs[i].kernel},
                           {"scratch_bytes", plan.needs[i].scratch_bytes},
                           {"saved_bytes", plan.needs[i].saved_bytes}});
  for (const TensorId id : tensors_by_offset(plan)) {
    const Tensor& tensor = program.tensors[id];
    json entry = {{"name", tensor.name},         {"segment", segment_names[static_cast<size_t>(tensor.segment)]},
                  {"offset", tensor.offset},     {"bytes", tensor.bytes},
                  {"first_op", tensor.first_op}, {"last_op", tensor.last_op}};
    if (tensor.part_of != no_tensor) entry["part_of"] = program.tensors[tensor.part_of].name;
    root["tensors"].push_back(std::move(entry));
  }
  return root.dump(2) + "\n";
}

}  // namespace lt
