// The gradient of a convolution's weights by Winograd: the transposed form of conv2d_winograd.h's products, summed over all
// tiles at each of the 36 points, then brought back to the kernel's weights once. A tile is 4x4 (2x2) of the layer's inputs
// and the 6x6 of its gradients that meet them: the very tile of gradients that the inputs' gradient transforms, so that one
// pass can make both. Else the points go in three pairs of rows, a unit of work each, so that a unit's sums stay in the
// second cache. Samples go in parts whose number does not depend on the threads; the bits are the same either way.
// Everything lies in the caller's memory; any thread may call, each with a scratch of its own.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/conv2d_winograd.h"
#include "backends/cpu/highway/targets.h"
#include "backends/cpu/highway/winograd_shape.h"

namespace lt::cpu::highway {

inline constexpr uint32_t winograd_pairs = 3, winograd_pair_points = winograd_points / winograd_pairs;

// In floats. Shapes are those of winograd_input_gradient_shape: its inputs are the layer's gradients (dz), its outputs lie
// as the layer's inputs (x) do.
struct WinogradWeightsLayout {
  uint32_t group;                // tiles that are transformed and multiplied together
  uint64_t x_step, dz_step;      // of one tile: its transformed inputs and gradients at one point
  uint64_t x_plane, dz_plane;    // of a group
  uint64_t sums_step, tail;      // a row of the sums; where, in a point's sums, the columns without a vector start
  uint64_t point_floats;         // sums at one point
  uint64_t unit_floats;          // sums of a pair of rows
  uint64_t scratch_floats;       // of WinogradWeightsSum
  WinogradLayout products;       // of the inputs' gradient, for groups of this size
  uint64_t both_scratch_floats;  // of WinogradBothGradients
};
using WinogradWeightsPlan = WinogradWeightsLayout(const WinogradShape& shape, const WinogradLayout& products);

struct WinogradWeightsTensors {
  const float* x;
  const float* dz;         // gradients in front of the ReLU: of the outputs, or of the pool's with their
  const uint8_t* winners;  // places, null without
};
// The sums of `pairs` pairs of rows from `pair` on, unit_floats each, over `samples` samples, the tensors' first ones.
using WinogradWeightsSum = void(const WinogradShape& shape, const WinogradWeightsLayout& layout,
                                const WinogradWeightsTensors& tensors, uint32_t samples, uint32_t pair, uint32_t pairs,
                                float* scratch, float* sums);
// The same of all pairs, and WinogradConvolve's outputs: `tensors` are the inputs' gradient's.
using WinogradBothGradients = void(const WinogradShape& shape, const WinogradWeightsLayout& layout,
                                   const WinogradTensors& tensors, const float* x, uint32_t samples, float* scratch,
                                   float* sums);
// One input channel's dweight from the sums of all pairs of all parts, which are part_floats apart.
using WinogradWeightsReduce = void(const WinogradShape& shape, const WinogradWeightsLayout& layout, const float* sums,
                                   uint64_t part_floats, uint32_t parts, uint32_t in_channel, bool accumulate,
                                   float* dweight);

extern const PerTarget<WinogradWeightsPlan*> winograd_weights_plan_table;
extern const PerTarget<WinogradWeightsSum*> winograd_weights_sum_table;
extern const PerTarget<WinogradBothGradients*> winograd_both_gradients_table;
extern const PerTarget<WinogradWeightsReduce*> winograd_weights_reduce_table;

}  // namespace lt::cpu::highway
