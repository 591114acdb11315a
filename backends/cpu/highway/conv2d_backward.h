// The inner kernels of conv2d's backward pass, which is sparse and exact: through a max-pool and a ReLU most gradients of
// the convolution's output are zero, and the others are known one by one. Each is a pair (gradient, window of the padded
// input); dweight adds windows of x, dx adds kernels, both as rows of kernel x in_channels neighbouring floats that stay in
// registers over a whole list of such pairs. Without a pool the lists are merely longer.
// Everything lies in the caller's memory; any thread may call, each with a scratch of its own.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/targets.h"

namespace lt::cpu::highway {

// The sizes and the places of one thread's scratch, all in floats from its start.
struct Conv2dBackwardLayout {
  uint32_t row_vectors;    // vectors that a kernel row of in_channels x kernel floats takes
  uint64_t row_floats;     // row_vectors in floats
  uint64_t kernel_floats;  // of one output channel: kernel rows of row_floats
  uint64_t weight_floats;  // of all output channels: a packed weight, or a partial dweight
  uint64_t padded_floats;  // the padded x, or dx, and what a row's last vector reads past it
  uint64_t list_floats;    // room of all lists
  uint64_t x, dx, dz, gradients, offsets, unsorted, windows, lengths, scratch_floats;
};
using Conv2dBackwardPlan = Conv2dBackwardLayout(const Conv2dShape& shape, bool needs_dx);

// Where things are for the samples of one block. `places` says, for each pooled pixel, where the window of its first
// element starts in the padded input, and `subplaces`, for each value of argmax, how far from there the winner's starts;
// their sum is meant modulo 2^32.
struct Conv2dBackwardTask {
  const Conv2dShape* shape;
  const Conv2dBackwardLayout* layout;
  const uint32_t *places, *subplaces;
  const float* packed;  // the weight as [out channel][kernel row][kernel column, in channel], rows padded; null without dx
  float *dweight, *dbias;  // this block's sums: dweight like `packed`
};

using Conv2dPackRows = void(const Conv2dShape& shape, const Conv2dBackwardLayout& layout, const float* weight,
                            uint32_t kernel_row, float* packed);
// Before a block's first sample: zeros its sums and the borders in the scratch.
using Conv2dBackwardStart = void(const Conv2dBackwardTask& task, float* scratch);
// One sample: scratch + layout.dz holds the gradients of y in front of the ReLU. dx may be null, argmax without a pool.
using Conv2dBackwardSample = void(const Conv2dBackwardTask& task, const float* x, const uint8_t* argmax, float* scratch,
                                  float* dx);
// Adds up the partial sums, in their order, for one kernel row of dweight; `first` and `step`: the first one's start, and
// the way to the next.
using Conv2dReduce = void(const Conv2dShape& shape, const Conv2dBackwardLayout& layout, const float* first, uint64_t step,
                          uint32_t parts, uint32_t kernel_row, bool accumulate, float* dweight);

extern const PerTarget<Conv2dBackwardPlan*> conv2d_backward_plan_table;
extern const PerTarget<Conv2dPackRows*> conv2d_pack_rows_table;
extern const PerTarget<Conv2dBackwardStart*> conv2d_backward_start_table;
extern const PerTarget<Conv2dBackwardSample*> conv2d_backward_sample_table;
extern const PerTarget<Conv2dReduce*> conv2d_reduce_table;

}  // namespace lt::cpu::highway
