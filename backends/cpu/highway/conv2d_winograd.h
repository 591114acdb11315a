// The forward convolution of 3x3 and 5x5 kernels by Winograd's minimal filtering (Lavin & Gray, "Fast algorithms for
// convolutional neural networks", CVPR 2016; Toom-Cook at the points 0, 1, -1, 2, -2 and infinity): tiles of 6x6 inputs
// give 4x4 outputs of a 3x3 kernel, or 2x2 of a 5x5 one, with 36 products an input and output channel in place of 144 or
// 100. The sums are those of the direct form but for rounding: the transforms' constants cost about a digit of float's
// seven. A 2x2 pool's windows lie within a tile, so bias, pool, argmax and ReLU happen in registers. Everything lies in the
// caller's memory; any thread may call, each with a scratch of its own.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/targets.h"

namespace lt::cpu::highway {

// The places of one thread's scratch, and other sizes, in floats.
struct Conv2dWinogradLayout {
  uint32_t tile_rows, tile_columns;  // tiles of one sample
  uint32_t group;                    // tiles that are transformed and multiplied together
  uint32_t padded_height, padded_width;
  uint64_t in_step, out_step;    // floats of the transformed inputs (products) of one tile
  uint64_t in_plane, out_plane;  // and of one of the 36 points of a group
  uint64_t weight_plane, weight_floats;
  uint64_t padded, inputs, products, scratch_floats;
};

// Whether the shape is one of those above, with channels enough to pay for the transforms.
bool conv2d_winograd_serves(const Conv2dShape& shape);

using Conv2dWinogradPlan = Conv2dWinogradLayout(const Conv2dShape& shape);
// Transforms the weights of one input channel; the bias, padded with zeros, goes behind the last plane with channel 0.
using Conv2dWinogradPack = void(const Conv2dShape& shape, const Conv2dWinogradLayout& layout, const float* weight,
                                const float* bias, uint32_t in_channel, float* packed);
// `samples` samples from x to y; argmax may be null.
using Conv2dWinogradForward = void(const Conv2dShape& shape, const Conv2dWinogradLayout& layout, const float* x,
                                   uint32_t samples, const float* packed, bool relu, float* scratch, float* y,
                                   uint8_t* argmax);

extern const PerTarget<Conv2dWinogradPlan*> conv2d_winograd_plan_table;
extern const PerTarget<Conv2dWinogradPack*> conv2d_winograd_pack_table;
extern const PerTarget<Conv2dWinogradForward*> conv2d_winograd_forward_table;

}  // namespace lt::cpu::highway
