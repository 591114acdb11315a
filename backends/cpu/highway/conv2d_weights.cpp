#include "backends/cpu/highway/conv2d_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/conv2d_weights.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/conv2d_tiles_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

Conv2dWeightsLayout WeightsPlan(const Conv2dShape& s) {
  Conv2dWeightsLayout p{};
  const Columns columns = columns_of(s.out_channels);
  p.row_floats = uint64_t{s.padded_width()} * s.in_channels;
  p.patch = uint64_t{s.kernel} * s.in_channels;
  p.sums_step = uint64_t{columns.vectors} * lanes;
  p.tail = p.sums_step * p.patch;
  p.kernel_row_floats = align(p.tail + columns.tail * padded_channels(p.patch));
  p.bias = p.kernel_row_floats * s.kernel;
  p.part_floats = align(p.bias + s.out_channels);
  // Vectors are read whole: behind the last pixel's patch, and behind its gradients.
  p.x = 0;
  p.dz = align(p.row_floats * s.padded_height() + lanes);
  p.scratch_floats = p.dz + align(s.conv_elements() + lanes);
  return p;
}

void WeightsStart(const Conv2dShape&, const Conv2dWeightsLayout& layout, float* scratch) {
  std::memset(scratch, 0, layout.scratch_floats * sizeof(float));
}

void BiasSum(const float* dz, uint64_t pixels, uint32_t channels, float* to) {
  for (size_t channel = 0; channel < channels; channel += lanes) {
    const size_t count = channels - channel;
    V sum = hn::Zero(D());
    for (uint64_t pixel = 0; pixel < pixels; ++pixel) sum = hn::Add(sum, load_some(dz + pixel * channels + channel, count));
    store_some(hn::Add(load_some(to + channel, count), sum), to + channel, count);
  }
}

void WeightsSample(const Conv2dShape& s, const Conv2dWeightsLayout& layout, const float* x, bool add, float* scratch,
                   float* sums) {
  const Columns columns = columns_of(s.out_channels);
  const uint64_t x_row = uint64_t{s.width} * s.in_channels, step = uint64_t{s.stride} * s.in_channels;
  for (uint32_t row = 0; row < s.height; ++row)
    std::memcpy(scratch + layout.x + (row + s.padding) * layout.row_floats + uint64_t{s.padding} * s.in_channels,
                x + row * x_row, x_row * sizeof(float));
  FetchAhead ahead;  // nothing: all is near
  for (uint32_t row = 0; row < s.conv_height; ++row) {
    const float* const dz = scratch + layout.dz + uint64_t{row} * s.conv_width * s.out_channels;
    for (uint32_t kernel_row = 0; kernel_row < s.kernel; ++kernel_row) {
      const float* const from = scratch + layout.x + (uint64_t{row} * s.stride + kernel_row) * layout.row_floats;
      float* const to = sums + kernel_row * layout.kernel_row_floats;
      sum_panels(from, step, static_cast<uint32_t>(layout.patch), dz, s.out_channels, columns.vectors, s.conv_width, add,
                 to, layout.sums_step, ahead);
      if (columns.tail != 0)
        sum_panels(dz + columns.vectors * lanes, s.out_channels, columns.tail, from, step,
                   static_cast<uint32_t>(padded_channels(layout.patch) / lanes), s.conv_width, add, to + layout.tail,
                   padded_channels(layout.patch), ahead);
    }
    add = true;
  }
}

void WeightsReduce(const Conv2dShape& s, const Conv2dWeightsLayout& layout, const float* sums, uint32_t parts,
                   uint32_t kernel_row, bool accumulate, float* dweight) {
  const Columns columns = columns_of(s.out_channels);
  sums += kernel_row * layout.kernel_row_floats;
  dweight += kernel_row * layout.patch * s.out_channels;
  for (uint64_t i = 0; i < layout.patch; ++i, dweight += s.out_channels) {
    for (uint32_t channel = 0; channel < s.out_channels; ++channel) {
      const uint64_t column = channel - std::min<uint64_t>(channel, columns.vectors * lanes);
      const bool in_tail = columns.tail != 0 && channel >= columns.vectors * lanes;
      const float* const at =
          sums + (in_tail ? layout.tail + column * padded_channels(layout.patch) + i : i * layout.sums_step + channel);
      float sum = *at;
      for (uint32_t part = 1; part < parts; ++part) sum += at[part * layout.part_floats];
      dweight[channel] = accumulate ? dweight[channel] + sum : sum;
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(Conv2dWeightsPlan*, conv2d_weights_plan_table, WeightsPlan);
LT_HIGHWAY_TABLE(Conv2dWeightsStart*, conv2d_weights_start_table, WeightsStart);
LT_HIGHWAY_TABLE(Conv2dWeightsSample*, conv2d_weights_sample_table, WeightsSample);
LT_HIGHWAY_TABLE(Conv2dWeightsReduce*, conv2d_weights_reduce_table, WeightsReduce);
LT_HIGHWAY_TABLE(Conv2dBiasSum*, conv2d_bias_sum_table, BiasSum);
}  // namespace lt::cpu::highway
#endif
