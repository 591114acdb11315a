// Kernels of the operations that are no products: input, pool, ReLU and dropout, loss, updates. Each is bound by memory: a
// thread has an element, or eight that lie next to each other where rows allow 16 bytes at a time ("wide").
#pragma once

#include <cstdint>

#include "backends/cuda/kernels/bf16.h"
#include "backends/cuda/kernels/step_state.h"

// K(module, kernel, Arguments). Names end in the types: of what is read, then of what is written.
#define LT_CUDA_ELEMENTWISE_KERNELS(K)                                                \
  K(input, input_u8_f32, InputArguments)                                              \
  K(input, input_u8_bf16, InputArguments)                                             \
  K(input, input_f32_f32, InputArguments)                                             \
  K(input, input_f32_bf16, InputArguments)                                            \
  K(activation, epilogue_f32_f32, EpilogueArguments)                                  \
  K(activation, epilogue_f32_bf16, EpilogueArguments)                                 \
  K(activation, epilogue_bf16_f32, EpilogueArguments)                                 \
  K(activation, epilogue_bf16_bf16, EpilogueArguments)                                \
  K(activation, epilogue_wide_f32_f32, EpilogueArguments)                             \
  K(activation, epilogue_wide_f32_bf16, EpilogueArguments)                            \
  K(activation, epilogue_wide_bf16_f32, EpilogueArguments)                            \
  K(activation, epilogue_wide_bf16_bf16, EpilogueArguments)                           \
  K(activation_backward, epilogue_backward_f32_f32, EpilogueBackwardArguments)        \
  K(activation_backward, epilogue_backward_f32_bf16, EpilogueBackwardArguments)       \
  K(activation_backward, epilogue_backward_bf16_f32, EpilogueBackwardArguments)       \
  K(activation_backward, epilogue_backward_bf16_bf16, EpilogueBackwardArguments)      \
  K(activation_backward, epilogue_backward_wide_f32_f32, EpilogueBackwardArguments)   \
  K(activation_backward, epilogue_backward_wide_f32_bf16, EpilogueBackwardArguments)  \
  K(activation_backward, epilogue_backward_wide_bf16_f32, EpilogueBackwardArguments)  \
  K(activation_backward, epilogue_backward_wide_bf16_bf16, EpilogueBackwardArguments) \
  K(average_pool, average_pool_f32_f32, AveragePoolArguments)                         \
  K(average_pool, average_pool_f32_bf16, AveragePoolArguments)                        \
  K(average_pool, average_pool_bf16_f32, AveragePoolArguments)                        \
  K(average_pool, average_pool_bf16_bf16, AveragePoolArguments)                       \
  K(column_sums, column_sums_f32, ColumnSumsArguments)                                \
  K(column_sums, column_sums_bf16, ColumnSumsArguments)                               \
  K(column_sums, column_sums_finish, ColumnSumsFinishArguments)                       \
  K(loss, softmax_cross_entropy_f32, LossArguments)                                   \
  K(loss, softmax_cross_entropy_bf16, LossArguments)                                  \
  K(loss, statistics_sum, StatisticsSumArguments)                                     \
  K(update, update_sgd, UpdateArguments)                                              \
  K(update, update_momentum, UpdateArguments)                                         \
  K(update, update_adam, UpdateArguments)                                             \
  K(update, parameter_copies, ParameterCopiesArguments)

namespace lt::cuda {

// How a kernel's threads lie over `rows` rows (samples): a block has elementwise_threads threads, 2^row_shift of them next
// to each other in one row; blockIdx.x counts along rows, blockIdx.y across them, in strides of the grid where there are
// more.
inline constexpr uint32_t elementwise_threads = 256;
struct Rows {
  uint32_t rows;
  uint32_t row_shift;  // 5 .. 8
};
inline constexpr uint32_t most_rows_of_block = elementwise_threads >> 5;

// Raw planar samples to y [row][pixel][channel] = value * factor[channel] + offset[channel].
inline constexpr uint32_t most_input_channels = 32;  // with a factor each; without, one serves all
struct InputArguments {
  Rows rows;
  const void* x;  // [sample][channel][pixel]: the rows, or a kept set of which they are chosen
  void* y;
  uint32_t channels, pixels;
  uint32_t own_factors;  // 0: factor[0] and offset[0] serve all channels
  float factor[most_input_channels], offset[most_input_channels];
  // A kept set: row i is the sample at place state->position + sample_offset + i of the epoch's order.
  const StepState* state;   // null: no kept set
  const int32_t* labels;    // of the kept set; may be null
  int32_t* staging_labels;  // of the rows; may be null
  uint32_t sample_offset;
};

// A pool's window over z, or none (kernel 0), which is one element.
struct PoolWindow {
  uint32_t kernel, stride, padding;
};

// y = dropout(relu(max_pool(z + bias) + residual)). z is [row][z_height * z_width][z_channels]; the first y_channels are
// used. y, argmax: [row][y_height * y_width][y_channels]; mask: rows of mask_row_bytes.
struct EpilogueArguments {
  Rows rows;
  const void* z;
  void* y;
  const float* bias;     // null: none
  const void* residual;  // null: none; of z's type and y's extent, perhaps y itself
  uint8_t* argmax;       // null: not wanted
  uint8_t* mask;         // null: not wanted
  const StepState* state;
  PoolWindow pool;
  uint32_t z_height, z_width, z_channels;
  uint32_t y_width, y_channels, y_elements;  // elements of one row
  uint32_t relu;
  float scale;                    // of what dropout keeps
  uint32_t drops;                 // an element is dropped where its random word is below; 0: none is
  uint32_t layer, sample_offset;  // of dropout's counter
};

// dz = the gradient in front of that, zero past the first y_channels.
struct EpilogueBackwardArguments {
  Rows rows;
  const void* dy;
  void* dz;
  const void* y;          // of dy's type: the gradient passes where it is positive; null: everywhere, or as the mask says
  const uint8_t* mask;    // null: no dropout
  const uint8_t* argmax;  // with a pool
  PoolWindow pool;
  uint32_t z_width, z_channels, z_elements;  // elements of one row, z_channels to a pixel
  uint32_t y_height, y_width, y_channels, y_elements;
  float scale;
};

// y[row][channel] = the mean of x[row][pixel][channel] over the pixels.
struct AveragePoolArguments {
  Rows rows;
  const void* x;
  void* y;
  uint32_t pixels, channels;
};

// partials[part][column] = the sum of dz[row][column] over rows [part * part_rows, + part_rows); the part is blockIdx.y.
// With one part the sums go to `sums`. Blocks of column_sums_threads, of which 2^column_shift lie next to each other.
inline constexpr uint32_t column_sums_threads = 1024;
struct ColumnSumsArguments {
  const void* dz;
  float* partials;  // null: one part
  float* sums;
  uint64_t rows, part_rows;
  uint32_t columns, channels;  // channels: from row to row
  uint32_t column_shift;       // 0 .. 5
  uint32_t accumulate;
};
// sums[column] = (+=) partials summed in the order of the parts.
struct ColumnSumsFinishArguments {
  const float* partials;
  float* sums;
  uint32_t parts, columns, accumulate;
};

// Each warp of a block takes samples of block_samples that its block has; blocks' sums go to `partials`, or with one block
// to `statistics`.
inline constexpr uint32_t loss_threads = 1024;
struct LossArguments {
  const float* x;         // [sample][class]
  const int32_t* labels;  // [sample]
  void* dx;               // null: not wanted
  Statistics* statistics;
  Statistics* partials;  // null: one block
  uint32_t samples, block_samples, classes, batch_samples, accumulate;
};
struct StatisticsSumArguments {
  const Statistics* partials;
  Statistics* statistics;
  uint32_t parts, accumulate;
};

// Nothing is changed where the step's loss was not finite or the training has halted.
struct UpdateArguments {
  float* parameters;
  const float* gradients;
  float* state;                  // v (momentum), m (Adam)
  float* state2;                 // v (Adam)
  Bf16* copies;                  // null: none
  const Statistics* statistics;  // null: finite
  const StepState* step;
  uint64_t elements;
};
struct ParameterCopiesArguments {
  const float* parameters;
  Bf16* copies;
  uint64_t elements;
};

}  // namespace lt::cuda
