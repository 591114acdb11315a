// The arithmetic of a step, operation by operation: see bench_ops_count.h.
#include "tools/bench_ops_count.h"

#include <algorithm>
#include <memory>

#include "src/plan/plan.h"

namespace lt::tool {
namespace {

// Along one axis of a convolution: taps of all outputs that fall on the input, not on the border around it.
double taps_inside(uint32_t outputs, uint32_t inputs, const Window& window) {
  double taps = 0;
  for (uint32_t y = 0; y < outputs; ++y)
    for (uint32_t k = 0; k < window.kernel; ++k) {
      const int64_t at = int64_t{y} * window.stride + k - window.padding;
      taps += at >= 0 && at < int64_t{inputs} ? 1 : 0;
    }
  return taps;
}

// Multiply-adds of one sample.
OperationCount convolution(const Op& op) {
  const double channels = static_cast<double>(op.x_extent.channels) * op.conv_extent.channels;
  const double taps = static_cast<double>(op.conv_extent.height) * op.conv_extent.width * op.conv.kernel * op.conv.kernel;
  const double inside = taps_inside(op.conv_extent.height, op.x_extent.height, op.conv) *
                        taps_inside(op.conv_extent.width, op.x_extent.width, op.conv);
  const bool backward = op.kind == OpKind::conv2d_backward;
  const double products = backward && op.dx != no_tensor ? 2 : 1;
  return {products * channels * taps, products * channels * inside};
}

OperationCount linear(const Op& op, double length_share) {
  const double products = op.kind == OpKind::linear_backward && op.dx != no_tensor ? 2 : 1;
  const double all = products * op.rows_per_sample * static_cast<double>(op.x_extent.elements()) *
                     static_cast<double>(op.y_extent.elements());
  return {all, op.rows_per_sample > 1 && op.has_lengths ? all * length_share : all};
}

// Forward: the gates' two products. Backward: the gradients of both weights and of h, and of x where it is wanted.
OperationCount recurrent(const Op& op, double length_share) {
  const bool backward = op.kind == OpKind::recurrent_backward;
  const double gates = static_cast<double>(gates_of(op.cell)) * op.units, features = op.x_extent.channels;
  const double step =
      backward ? gates * (features * (op.dx != no_tensor ? 2 : 1) + 2.0 * op.units) : gates * (features + op.units);
  const double steps = op.x_extent.height, lengths = op.has_lengths ? length_share : 1;
  // Where the last step alone is asked for, the other direction has to take but one.
  const double real_steps =
      op.directions == 2 ? steps * lengths + (op.only_last_step ? 1 : steps * lengths) : steps * lengths;
  return {step * steps * op.directions, step * real_steps};
}

}  // namespace

OperationCount multiply_adds(const Op& op, double length_share) {
  switch (op.kind) {
    case OpKind::conv2d:
    case OpKind::conv2d_backward: return convolution(op);
    case OpKind::linear:
    case OpKind::linear_backward: return linear(op, length_share);
    case OpKind::recurrent:
    case OpKind::recurrent_backward: return recurrent(op, length_share);
    default: return {};
  }
}

lt_status count_operations(const char* recipe, uint64_t samples, double length_share, OperationCount* count) {
  PlanRequest request;
  // What a step computes is the recipe's alone; the reference device takes every operation, and asks for no hardware.
  request.device = "reference";
  const BuiltInRecipe* const built_in = built_in_recipe(recipe);
  if (built_in == nullptr) return static_cast<lt_status>(fail(Status::argument, "no built-in recipe \"%.60s\"", recipe));
  std::shared_ptr<const Plan> plan;
  Status status = recipe_parse(built_in->text, built_in->name, &request.recipe);
  if (ok(status)) status = plan_make(request, &plan);
  if (!ok(status)) return static_cast<lt_status>(status);
  *count = {};
  for (const Op& op : plan->program.ops) {
    const OperationCount products = multiply_adds(op, length_share);
    count->nominal += 2 * products.nominal * static_cast<double>(samples);
    count->real += 2 * products.real * static_cast<double>(samples);
  }
  return LT_OK;
}

}  // namespace lt::tool
