// The inner kernels of conv2d: one sample at a time, register tiles of pixels times vectors of output channels. The tiles
// of a 2x2 pool are whole pool windows, so that bias, pool, argmax and ReLU happen in registers and the convolution's own
// output never exists. Everything lies in the caller's memory; any thread may call, each with a scratch of its own.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/targets.h"

namespace lt::cpu::highway {

// The input is copied to [row][channel][column % stride][column / stride], padded with zeros: neighbours of an output row
// are neighbours in memory whatever the stride, and no inner loop meets a border.
inline uint64_t conv2d_phase_columns(const Conv2dShape& s) { return (s.padded_width() + s.stride - 1) / s.stride; }
inline uint64_t conv2d_row_floats(const Conv2dShape& s) { return conv2d_phase_columns(s) * s.stride * s.in_channels; }
// With 32 more, for vectors of pixels past the last one.
inline uint64_t conv2d_input_floats(const Conv2dShape& s) {
  return (conv2d_row_floats(s) * s.padded_height() + 15) / 16 * 16 + 32;
}
inline bool conv2d_pools_in_tile(const Conv2dShape& s) {
  return s.has_pool && s.pool_kernel == 2 && s.pool_stride == 2 && s.pool_padding == 0;
}
// Per thread: the copied input and, for pools other than 2x2, one sample of the convolution's output.
inline uint64_t conv2d_scratch_floats(const Conv2dShape& s) {
  return conv2d_input_floats(s) + (s.has_pool && !conv2d_pools_in_tile(s) ? (s.conv_elements() + 15) / 16 * 16 : 0);
}

// Packed weights: for each block of output channels its biases, then [kernel row][in channel][kernel column][channel of the
// block], zeros past the last channel.
using Conv2dPackedFloats = uint64_t(const Conv2dShape& shape);
using Conv2dPackBlocks = uint32_t(const Conv2dShape& shape);
using Conv2dPack = void(const Conv2dShape& shape, const float* weight, const float* bias, uint32_t block, float* packed);
// y and argmax of one sample; argmax may be null.
using Conv2dForward = void(const Conv2dShape& shape, const float* x, const float* packed, bool relu, float* scratch,
                           float* y, uint8_t* argmax);

extern const PerTarget<Conv2dPackedFloats*> conv2d_packed_floats_table;
extern const PerTarget<Conv2dPackBlocks*> conv2d_pack_blocks_table;
extern const PerTarget<Conv2dPack*> conv2d_pack_table;
extern const PerTarget<Conv2dForward*> conv2d_forward_table;

}  // namespace lt::cpu::highway
