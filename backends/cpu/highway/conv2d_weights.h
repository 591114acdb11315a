// The gradient of a convolution's weights without detours, for first layers without a pool: few input channels, all of the
// output's gradients, no gradient of the input. A kernel row of in_channels x kernel neighbouring floats of the padded
// input times a pixel's gradients, summed over an output row in registers. Everything lies in the caller's memory; any
// thread may call, each with a scratch of its own.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/fetch_ahead.h"
#include "backends/cpu/highway/targets.h"

namespace lt::cpu::highway {

// In floats.
struct Conv2dWeightsLayout {
  uint64_t row_floats;             // a row of the padded input
  uint64_t patch;                  // a kernel row of the input's: in_channels x kernel
  uint64_t sums_step, tail;        // a row of the sums; where, in a kernel row's, the columns without a vector start
  uint64_t kernel_row_floats;      // sums of a kernel row
  uint64_t part_floats;            // sums of all of them, dbias last
  uint64_t bias;                   // where in a part
  uint32_t rows;                   // of the output that are gone through at a time: whole bytes of a mask
  uint64_t x, dz, scratch_floats;  // of one thread: the padded input and those rows' gradients in front of the ReLU
};
using Conv2dWeightsPlan = Conv2dWeightsLayout(const Conv2dShape& shape);

// Before a thread's first sample: zeros the borders.
using Conv2dWeightsStart = void(const Conv2dShape& shape, const Conv2dWeightsLayout& layout, float* scratch);
// Before a sample's first row: copies its x.
using Conv2dWeightsSample = void(const Conv2dShape& shape, const Conv2dWeightsLayout& layout, const float* x,
                                 float* scratch);
// Adds the rows [first, end) of the output to a part's sums, or starts them; scratch + layout.dz holds their gradients.
// Meanwhile fetches what `ahead` says.
using Conv2dWeightsRows = void(const Conv2dShape& shape, const Conv2dWeightsLayout& layout, uint32_t first, uint32_t end,
                               bool add, FetchAhead& ahead, float* scratch, float* sums);
// dweight from the sums of `parts` parts, for one kernel row.
using Conv2dWeightsReduce = void(const Conv2dShape& shape, const Conv2dWeightsLayout& layout, const float* sums,
                                 uint32_t parts, uint32_t kernel_row, bool accumulate, float* dweight);
// to[channel] += the sum of `pixels` pixels.
using Conv2dBiasSum = void(const float* dz, uint64_t pixels, uint32_t channels, float* to);

extern const PerTarget<Conv2dWeightsPlan*> conv2d_weights_plan_table;
extern const PerTarget<Conv2dWeightsStart*> conv2d_weights_start_table;
extern const PerTarget<Conv2dWeightsSample*> conv2d_weights_sample_table;
extern const PerTarget<Conv2dWeightsRows*> conv2d_weights_rows_table;
extern const PerTarget<Conv2dWeightsReduce*> conv2d_weights_reduce_table;
extern const PerTarget<Conv2dBiasSum*> conv2d_bias_sum_table;

}  // namespace lt::cpu::highway
