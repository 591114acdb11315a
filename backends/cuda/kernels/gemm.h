// Kernels of the products: convolutions and linear layers, forward and backward, as matrix products
//
//     c[m][n] = sum over k of a[m][k] * b[k][n]
//
// whose operands are gathered while they are read. A linear layer is a convolution with a 1x1 kernel over images of one
// pixel. With taps = kernel * kernel, a position being a pixel of the convolution's output (forward, weights) or input
// (dx):
//
//   forward  m = (sample, position)  n = out channel          k = (tap, in channel)        a = x gathered    b = weight
//   dx       m = (sample, position)  n = in channel           k = (tap, out channel)       a = dz gathered   b = weight
//   weights  m = out channel         n = (tap, in channel)    k = (sample, position)       a = dz            b = x gathered
//
// Operands travel in chunks of 16 bytes. A chunk never holds two taps: where (tap, channel) is an index its channels are
// rounded up to whole chunks, and what is past the last channel counts as zero. Where that would be most of it, as with the
// one channel of a first layer, a row of the kernel is taken as one tap, of kernel * channels channels: they lie side by
// side in the image too.
//
// Long products may be cut along k into parts, whose sums are added up by gemm_reduce in the order of the parts.
#pragma once

#include <cstdint>

#include "backends/cuda/kernels/step_state.h"

// K(module, kernel, Arguments); the order of kinds, precisions and tiles is that of the enumerations and gemm_tiles below.
#define LT_CUDA_GEMM_KERNELS(K)                         \
  K(gemm_f32, gemm_forward_f32_128x64, GemmArguments)   \
  K(gemm_f32, gemm_forward_f32_64x64, GemmArguments)    \
  K(gemm_f32, gemm_forward_f32_64x32, GemmArguments)    \
  K(gemm_f32, gemm_dx_f32_128x64, GemmArguments)        \
  K(gemm_f32, gemm_dx_f32_64x64, GemmArguments)         \
  K(gemm_f32, gemm_dx_f32_64x32, GemmArguments)         \
  K(gemm_f32, gemm_weights_f32_128x64, GemmArguments)   \
  K(gemm_f32, gemm_weights_f32_64x64, GemmArguments)    \
  K(gemm_f32, gemm_weights_f32_64x32, GemmArguments)    \
  K(gemm_tf32, gemm_forward_tf32_128x64, GemmArguments) \
  K(gemm_tf32, gemm_forward_tf32_64x64, GemmArguments)  \
  K(gemm_tf32, gemm_forward_tf32_64x32, GemmArguments)  \
  K(gemm_tf32, gemm_dx_tf32_128x64, GemmArguments)      \
  K(gemm_tf32, gemm_dx_tf32_64x64, GemmArguments)       \
  K(gemm_tf32, gemm_dx_tf32_64x32, GemmArguments)       \
  K(gemm_tf32, gemm_weights_tf32_128x64, GemmArguments) \
  K(gemm_tf32, gemm_weights_tf32_64x64, GemmArguments)  \
  K(gemm_tf32, gemm_weights_tf32_64x32, GemmArguments)  \
  K(gemm_bf16, gemm_forward_bf16_128x64, GemmArguments) \
  K(gemm_bf16, gemm_forward_bf16_64x64, GemmArguments)  \
  K(gemm_bf16, gemm_forward_bf16_64x32, GemmArguments)  \
  K(gemm_bf16, gemm_dx_bf16_128x64, GemmArguments)      \
  K(gemm_bf16, gemm_dx_bf16_64x64, GemmArguments)       \
  K(gemm_bf16, gemm_dx_bf16_64x32, GemmArguments)       \
  K(gemm_bf16, gemm_weights_bf16_128x64, GemmArguments) \
  K(gemm_bf16, gemm_weights_bf16_64x64, GemmArguments)  \
  K(gemm_bf16, gemm_weights_bf16_64x32, GemmArguments)  \
  K(gemm_int8, gemm_forward_int8_128x64, GemmArguments) \
  K(gemm_int8, gemm_forward_int8_64x64, GemmArguments)  \
  K(gemm_int8, gemm_forward_int8_64x32, GemmArguments)  \
  K(gemm_reduce, gemm_reduce, GemmReduceArguments)

namespace lt::cuda {

enum class GemmKind : uint8_t { forward, dx, weights };
// Types of a, b: float, float, bfloat16; bytes without and with a sign, whose sums are whole numbers of 32 bits. int8 is
// forward alone, in one part, and all its copies are of 16 or 8 bytes.
enum class GemmPrecision : uint8_t { f32, tf32, bf16, int8 };

struct GemmTile {
  uint32_t m, n;
};
inline constexpr GemmTile gemm_tiles[] = {{128, 64}, {64, 64}, {64, 32}};

inline constexpr uint32_t gemm_threads = 128;     // of every product's block
inline constexpr uint32_t gemm_chunk_bytes = 16;  // what is copied at a time
inline constexpr uint32_t gemm_step_bytes = 64;   // of k in one step of a block's loop
inline constexpr uint32_t gemm_group = 8;         // columns of a result that one thread finishes
inline constexpr uint32_t gemm_reduce_threads = 128;

// How chunks are copied: by as many bytes as all of them begin at a multiple of, or by elements where they begin anywhere.
enum class CopyMode : uint32_t { elements, four_bytes, eight_bytes, chunks };

// Divides numbers below 2^31. With l = ceil(log2(value)) and multiplier = ceil(2^(31 + l) / value), which is off by less
// than one, n * multiplier / 2^(31 + l) is off by less than n / 2^(31 + l) < 1 / 2^l <= 1 / value: never past the next
// whole number.
struct Divisor {
  uint32_t value = 1, multiplier = 1u << 31, shift = 0;  // l
};
constexpr Divisor make_divisor(uint32_t value) {
  uint32_t log2 = 0;
  while (uint64_t{1} << log2 < value) ++log2;
  const uint64_t power = uint64_t{1} << (31 + log2);
  return {value, static_cast<uint32_t>((power + value - 1) / value), log2};
}
constexpr uint32_t divide(uint32_t number, const Divisor& by) {
  return static_cast<uint32_t>(uint64_t{2 * number} * by.multiplier >> 32) >> by.shift;
}

// Images [sample][height][width][channels] that are read at
//     row = (position row * position_step + position_offset + direction * kernel row) / stride_down,
// which is nowhere where that is outside or not a whole number; columns likewise.
struct GemmImage {
  const void* data = nullptr;
  uint32_t height = 1, width = 1;
  uint32_t channels = 1;  // of a tap
  uint32_t taps = 1;
  uint32_t row_taps = 0;              // 1: a tap is a row of the kernel
  uint32_t pitch = 1;                 // elements from a pixel to the next, at least its channels
  Divisor tap_columns;                // taps in a row of the kernel
  Divisor padded_channels;            // in whole chunks
  Divisor positions, position_width;  // of one sample; of one row of positions
  int32_t position_step = 1, position_offset = 0, direction = 1;
  uint32_t stride_down = 1;
  CopyMode copy = CopyMode::chunks;
  // Positions come in groups of four, those of a 2x2 pool's window; position_width and positions / 4 are the pool's.
  uint32_t pooled = 0;
};

// The operand that is a matrix: the weight [out channel][tap][in channel], or dz [sample][position][out channel].
struct GemmMatrix {
  const void* data = nullptr;
  uint32_t rows = 0;      // forward: out channels; dx: in channels; weights: samples * positions
  uint32_t channels = 1;  // of a row's pixel, the index that runs fastest
  uint32_t pitch = 1;     // dz: elements from a row to the next, zeros between them; a weight has no gaps
  CopyMode copy = CopyMode::chunks;
};

// int8: what turns a sum into a byte, by the arithmetic of src/base/int8.h. In the device's memory, [out channel].
struct GemmBytes {
  const float* factor = nullptr;
  const int32_t* bias = nullptr;           // less what the zero of x adds to each sum
  const float* residual_factor = nullptr;  // one
  uint32_t zero = 0, residual_zero = 0;
};

// What happens to the sums. Rows and columns of the result are m and n, but a 2x2 pool leaves a quarter of the rows, and of
// a weight's columns (tap, channel) those past the last channel are dropped.
struct GemmResult {
  void* c = nullptr;
  uint32_t m = 0, n = 0;
  uint32_t bf16 = 0;        // type of c; else f32
  uint32_t accumulate = 0;  // f32: added to c
  uint32_t n_channels = 0;  // weights: channels of a tap, where they are rounded up; 0: columns are as they are
  Divisor n_padded_channels;
  // forward
  uint32_t pooled = 0, relu = 0;
  const float* bias = nullptr;     // null: none
  const void* residual = nullptr;  // null: none; [m][n] that are added, perhaps c itself
  uint32_t residual_bf16 = 0;      // type of the residual; else f32
  uint8_t* argmax = nullptr;       // null: not wanted
  uint8_t* mask = nullptr;         // null: no dropout, nor what follows
  const StepState* state = nullptr;
  Divisor y_positions;  // rows of the result that a sample has
  float dropout = 0, dropout_scale = 1;
  uint32_t layer = 0, sample_offset = 0;
  GemmBytes bytes;  // int8, whose c and residual are bytes; of the others, m and n alone count there
};

struct GemmArguments {
  GemmImage image;
  GemmMatrix matrix;
  uint32_t k = 0;             // channels rounded up
  uint32_t part_k = 0;        // of one part, whole steps; part blockIdx.z is [blockIdx.z * part_k, + part_k)
  uint32_t known_copy = 0;    // 16, 8: all copies are of so many bytes, and images not read in strides down; 0: else
  float* partials = nullptr;  // [part][m][n] sums; null: one part, which finishes the result itself
  GemmResult result;
};

// result = the partials' sum.
struct GemmReduceArguments {
  const float* partials;
  uint32_t parts;
  uint32_t lanes;  // threads that share the parts of a group, a power of two up to 32
  GemmResult result;
};

}  // namespace lt::cuda
