// Convolutions of 3x3 and 5x5 kernels by Winograd's minimal filtering (Lavin & Gray, "Fast algorithms for convolutional
// neural networks", CVPR 2016): tiles of 6x6 inputs give 4x4 outputs of a 3x3 kernel, or 2x2 of a 5x5 one, with 36 products
// an input and output channel in place of 144 or 100. The sums are those of the direct form but for rounding, which costs
// about half a digit of float's seven. A 2x2 pool's windows lie within a tile, so bias, pool, argmax and ReLU happen in
// registers; a pool's gradient is spread over its windows where it is read. Everything lies in the caller's memory; any
// thread may call, each with a scratch of its own.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/highway/winograd_shape.h"

namespace lt::cpu::highway {

// The places of one thread's scratch, and other sizes, in floats.
struct WinogradLayout {
  bool far_weights;        // of all points: too many for the second cache beside a group
  uint32_t group;          // tiles that are transformed and multiplied together
  uint64_t step, plane;    // of one tile; of a group at one point
  uint64_t weight_plane;   // of the packed weights at one point
  uint64_t weight_tail;    // and where in it the columns without a vector start
  uint64_t weight_floats;  // of all packed weights, biases last
  uint64_t scratch_floats;
};
using WinogradPlan = WinogradLayout(const WinogradShape& shape);

// Transforms the weights of one input channel; the bias, padded with zeros, goes behind the last plane with channel 0.
using WinogradPack = void(const WinogradShape& shape, const WinogradLayout& layout, const float* weight, const float* bias,
                          uint32_t in_channel, float* packed);

struct WinogradTensors {
  const float* x;          // or a pool's gradients with their
  const uint8_t* winners;  // places, null without
  const float* packed;
  float* y;
  uint8_t* argmax;  // may be null
  bool relu;
};
// `samples` samples from x to y.
using WinogradConvolve = void(const WinogradShape& shape, const WinogradLayout& layout, const WinogradTensors& tensors,
                              uint32_t samples, float* scratch);

extern const PerTarget<WinogradPlan*> winograd_plan_table;
extern const PerTarget<WinogradPack*> winograd_pack_table;
extern const PerTarget<WinogradConvolve*> winograd_convolve_table;

}  // namespace lt::cpu::highway
