// Batch norms folded into the convolutions in front of them, when weights are read from a file. In inference a norm is
// y = (x - mean) * weight / sqrt(variance + epsilon) + bias, channel by channel, and so a factor on the convolution's
// weights and a bias behind it (Jacob et al., arXiv 1712.05877, section 3.2). In double, rounded once. Session's thread;
// owns nothing.
#pragma once

#include <vector>

#include "src/base/safetensors.h"
#include "src/base/status.h"
#include "src/plan/plan.h"

namespace lt {

// A norm's tensors in a file, [channel] each.
struct BatchNormTensors {
  const SafetensorsEntry *weight = nullptr, *bias = nullptr, *mean = nullptr, *variance = nullptr;
};

// Of the parameter's norm. Status::mismatch where one is missing or has another shape, or a variance is negative or not
// finite.
Status batch_norm_find(const SafetensorsReader& reader, const Plan& plan, const Parameter& parameter,
                       BatchNormTensors* tensors);

// In place: a convolution's weights as the file has them become those with the norm; of a bias, whose values are not read,
// what the norm adds.
void batch_norm_fold(const Parameter& parameter, const BatchNormTensors& tensors, float* values);

}  // namespace lt
