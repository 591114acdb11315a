// Kernels of Precision::int8 beside the products (gemm.h), by the arithmetic of src/base/int8.h. Activations are bytes,
// [sample][row][column][channel]; a ByteScale is a place in `scales` and a zero.
#pragma once

#include <cstdint>

#include "backends/cuda/kernels/elementwise.h"
#include "backends/cuda/kernels/gemm.h"

// K(module, kernel, Arguments)
#define LT_CUDA_INT8_KERNELS(K)                         \
  K(int8_weights, int8_weights, Int8WeightsArguments)   \
  K(int8_pixels, int8_input, Int8InputArguments)        \
  K(int8_pixels, int8_plane, Int8PlaneArguments)        \
  K(int8_pixels, int8_max_pool, Int8MaxPoolArguments)   \
  K(int8_pixels, int8_max_pool_4, Int8MaxPoolArguments) \
  K(int8_pixels, int8_average_pool, Int8AveragePoolArguments)

namespace lt::cuda {

// Weights of floats, [output][kernel row][kernel column][channel], to bytes with zeros between them:
// [output][kernel row: row_bytes][kernel column: pitch][channel]. With them what GemmBytes points to. A warp an output.
inline constexpr uint32_t int8_weights_threads = 128;
struct Int8WeightsArguments {
  const float* weight;
  const float* bias;  // null: none
  const float* scales;
  int8_t* bytes;
  float* factor;           // [output]
  int32_t* steps;          // [output], the bias
  float* residual_factor;  // one; null: no residual
  uint32_t outputs, kernel, channels;
  uint32_t row_bytes, pitch;
  uint32_t x_place, y_place, residual_place;
  uint32_t x_zero;
};

// Raw planar bytes to y, [pixel][channel]: number = (x * scale - mean) / deviation. Each block works out the bytes of all
// 256 values first, of the channels from first_channel on.
inline constexpr uint32_t int8_input_channels = 16;  // most of a launch
inline constexpr uint32_t byte_values = 256;
struct Int8InputArguments {
  Rows rows;
  const uint8_t* x;
  uint8_t* y;
  const float* scales;
  uint32_t first_channel, channels, all_channels, pixels;
  uint32_t y_place, y_zero;
  float scale, mean[int8_input_channels], deviation[int8_input_channels];
};

// plane[row][column][pitch] = x with a border of `padding` pixels all around and more behind its columns, and with channels
// up to the pitch: all of the byte `zero`. The pitch is a multiple of four.
struct Int8PlaneArguments {
  Rows rows;
  const uint8_t* x;
  uint8_t* plane;
  uint32_t x_height, x_width, channels;
  uint32_t padding, zero, words;  // words: of four bytes, of one sample's plane
  Divisor plane_width, pitch_words;
};

// y = the largest byte of each window over z. int8_max_pool_4: four channels at a time, of which there are a multiple.
struct Int8MaxPoolArguments {
  Rows rows;
  const uint8_t* z;
  uint8_t* y;
  PoolWindow pool;
  uint32_t z_height, z_width, channels;
  uint32_t y_width, y_elements;
};

// y[channel] = the mean of x over its pixels, a float.
struct Int8AveragePoolArguments {
  Rows rows;
  const uint8_t* x;
  float* y;
  const float* scales;
  uint32_t pixels, channels;
  uint32_t x_place, x_zero;
};

}  // namespace lt::cuda
