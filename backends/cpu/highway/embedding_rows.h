// What embeddings do with single rows: sums of gradients, and Adam's steps, one with a gradient or many without. Any
// thread, on rows that do not overlap; allocates nothing.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/highway/update.h"
#include "src/base/bf16.h"

namespace lt::cpu::highway {

// One row of the weight and of Adam's state, `features` long.
struct AdamRow {
  float *w, *m, *v;
  uint64_t features;
};
// Takes `count` steps by the gradient, or, where it is null, by zeros.
using AdamSteps = void(const AdamRow& row, const float* gradient, const UpdateRates* rates, uint64_t count);

// Some rows of a gradient: those that `places` says, one behind the other; its elements are float, or else bfloat16.
struct GradientRows {
  const float* rows;
  const Bf16* bf16_rows;
  const int32_t* places;
  uint64_t count, features;
};
// sum = the rows' sum, from the first to the last.
using SumRows = void(const GradientRows& rows, float* sum);

extern const PerTarget<AdamSteps*> adam_steps_table;
extern const PerTarget<SumRows*> sum_rows_table;

}  // namespace lt::cpu::highway
