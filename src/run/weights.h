// Parameters between a device and the outside: initial values, and PyTorch's order of elements. The one place that
// converts. Nothing here allocates; values pass through a small buffer on the stack. Called by the session's thread.
#pragma once

#include "src/backend.h"
#include "src/plan/plan.h"

namespace lt {

// Draws parameter number `index` from the seed. An element's number is its place in [fan_in][out] order (fan_in over row,
// column, channel), whatever the device's layout, so that every device starts from the same weights.
Status weights_initialize(const Plan& plan, uint32_t index, Executor* executor);

// Copies a whole parameter to or from `values`, `elements()` floats in PyTorch's order.
Status weights_write(const Plan& plan, const Parameter& parameter, const float* values, Executor* executor);
Status weights_read(const Plan& plan, const Parameter& parameter, Executor* executor, float* values);

// The same of other numbers that lie as the parameter does, from byte `offset` of `tensor` on: the optimizer's state.
struct WeightPlace {
  TensorId tensor = no_tensor;
  uint64_t offset = 0;
};
Status weights_write(const Plan& plan, const Parameter& parameter, WeightPlace place, const float* values,
                     Executor* executor);
// Outputs [first, first + n) alone, n at most weight_rows_max: values are [n][fan_in] in PyTorch's order, n * row_elements
// floats. The device has finished what it was doing (Executor::synchronize).
inline constexpr uint64_t weight_rows_max = 64;
constexpr uint64_t row_elements(const Parameter& parameter) { return parameter.is_bias ? 1 : parameter.fan_in; }
Status weights_read_rows(const Plan& plan, const Parameter& parameter, WeightPlace place, uint64_t first, uint64_t n,
                         Executor* executor, float* values);

}  // namespace lt
