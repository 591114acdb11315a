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

}  // namespace lt
