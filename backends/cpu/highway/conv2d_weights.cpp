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
  const uint64_t row = uint64_t{s.conv_width} * s.out_channels;
  p.rows = 1;
  while (p.rows * row % 8 != 0) p.rows *= 2;
  p.scratch_floats = p.dz + align(p.rows * row + lanes);
  return p;
}

void WeightsStart(const Conv2dShape&, const Conv2dWeightsLayout& layout, float* scratch) {
  std::memset(scratch, 0, layout.scratch_floats * sizeof(float));
}

// N vectors of channels, so many sums that none waits for its last addition.
template <size_t N>
HWY_INLINE void sum_bias(const float* dz, uint64_t pixels, uint32_t channels, size_t count, float* to) {
  V even[N], odd[N];
  LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) even[j] = odd[j] = hn::Zero(D());
  uint64_t pixel = 0;
  const auto add = [&](uint64_t at, V(&sums)[N]) HWY_ATTR {
    const float* const from = dz + at * channels;
    LT_CONV2D_UNROLL for (size_t j = 0; j + 1 < N; ++j) sums[j] = hn::Add(sums[j], hn::LoadU(D(), from + j * lanes));
    sums[N - 1] = hn::Add(sums[N - 1], load_some(from + (N - 1) * lanes, count - (N - 1) * lanes));
  };
  for (; pixel + 2 <= pixels; pixel += 2) {
    add(pixel, even);
    add(pixel + 1, odd);
  }
  if (pixel < pixels) add(pixel, even);
  LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) {
    const size_t rest = count - j * lanes;
    store_some(hn::Add(load_some(to + j * lanes, rest), hn::Add(even[j], odd[j])), to + j * lanes, rest);
  }
}

void BiasSum(const float* dz, uint64_t pixels, uint32_t channels, float* to) {
  for (size_t channel = 0; channel < channels;) {
    const size_t rest = channels - channel, vectors = std::min<size_t>((rest + lanes - 1) / lanes, 4);
    switch (vectors) {
      case 1: sum_bias<1>(dz + channel, pixels, channels, rest, to + channel); break;
      case 2: sum_bias<2>(dz + channel, pixels, channels, rest, to + channel); break;
      case 3: sum_bias<3>(dz + channel, pixels, channels, rest, to + channel); break;
      default: sum_bias<4>(dz + channel, pixels, channels, rest, to + channel);
    }
    channel += vectors * lanes;
  }
}

void WeightsSample(const Conv2dShape& s, const Conv2dWeightsLayout& layout, const float* x, float* scratch) {
  const uint64_t x_row = uint64_t{s.width} * s.in_channels;
  for (uint32_t row = 0; row < s.height; ++row)
    std::memcpy(scratch + layout.x + (row + s.padding) * layout.row_floats + uint64_t{s.padding} * s.in_channels,
                x + row * x_row, x_row * sizeof(float));
}

// One output row's part in the sums of Tail columns without a vector, at one vector of each of N kernel rows: rows and
// columns change their parts, and the kernel rows lie together, as one alone has too few sums to keep the adders busy.
struct TailSums {
  const float *dz, *x;
  uint64_t dz_step, x_step, x_row;
  uint32_t pixels;
  float* sums;
  uint64_t sums_step, sums_row;
};
template <size_t Tail, size_t N>
HWY_NOINLINE void sum_tail(const TailSums& t, bool add) {
  V s[Tail][N];
  LT_CONV2D_UNROLL for (size_t i = 0; i < Tail; ++i) LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) s[i][j] =
      hn::Zero(D());
  const float *dz = t.dz, *x = t.x;
  for (uint32_t pixel = 0; pixel < t.pixels; ++pixel, dz += t.dz_step, x += t.x_step) {
    V v[N];
    LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) v[j] = hn::LoadU(D(), x + j * t.x_row);
    LT_CONV2D_UNROLL for (size_t i = 0; i < Tail; ++i) {
      const V value = hn::Set(D(), dz[i]);
      LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) s[i][j] = hn::MulAdd(value, v[j], s[i][j]);
    }
  }
  LT_CONV2D_UNROLL for (size_t i = 0; i < Tail; ++i) LT_CONV2D_UNROLL for (size_t j = 0; j < N; ++j) {
    float* const at = t.sums + i * t.sums_step + j * t.sums_row;
    hn::StoreU(add ? hn::Add(hn::LoadU(D(), at), s[i][j]) : s[i][j], D(), at);
  }
}
template <size_t Tail>
HWY_INLINE void sum_tails(TailSums t, uint32_t kernel, bool add) {
  for (uint32_t row = 0; row < kernel;) {
    const uint32_t rows = std::min(kernel - row, 3u);
    if (rows == 1) sum_tail<Tail, 1>(t, add);
    if (rows == 2) sum_tail<Tail, 2>(t, add);
    if (rows == 3) sum_tail<Tail, 3>(t, add);
    t.x += rows * t.x_row;
    t.sums += rows * t.sums_row;
    row += rows;
  }
}

void WeightsRows(const Conv2dShape& s, const Conv2dWeightsLayout& layout, uint32_t first, uint32_t end, bool add,
                 FetchAhead& ahead, float* scratch, float* sums) {
  const Columns columns = columns_of(s.out_channels);
  const uint64_t step = uint64_t{s.stride} * s.in_channels, padded_patch = padded_channels(layout.patch);
  ahead.cut(uint64_t{end - first} * s.kernel * sum_tiles(static_cast<uint32_t>(layout.patch), columns.vectors));
  for (uint32_t row = first; row < end; ++row) {
    const float* const dz = scratch + layout.dz + uint64_t{row - first} * s.conv_width * s.out_channels;
    const float* const x = scratch + layout.x + uint64_t{row} * s.stride * layout.row_floats;
    for (uint32_t kernel_row = 0; kernel_row < s.kernel; ++kernel_row)
      sum_panels(x + kernel_row * layout.row_floats, step, static_cast<uint32_t>(layout.patch), dz, s.out_channels,
                 columns.vectors, s.conv_width, add, sums + kernel_row * layout.kernel_row_floats, layout.sums_step, ahead);
    TailSums tail{dz + columns.vectors * lanes,
                  x,
                  s.out_channels,
                  step,
                  layout.row_floats,
                  s.conv_width,
                  sums + layout.tail,
                  padded_patch,
                  layout.kernel_row_floats};
    for (uint64_t at = 0; columns.tail != 0 && at < padded_patch; at += lanes, tail.x += lanes, tail.sums += lanes) {
      if (columns.tail == 1) sum_tails<1>(tail, s.kernel, add);
      if (columns.tail == 2) sum_tails<2>(tail, s.kernel, add);
      if (columns.tail == 3) sum_tails<3>(tail, s.kernel, add);
      if (columns.tail == 4) sum_tails<4>(tail, s.kernel, add);
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
LT_HIGHWAY_TABLE(Conv2dWeightsRows*, conv2d_weights_rows_table, WeightsRows);
LT_HIGHWAY_TABLE(Conv2dWeightsReduce*, conv2d_weights_reduce_table, WeightsReduce);
LT_HIGHWAY_TABLE(Conv2dBiasSum*, conv2d_bias_sum_table, BiasSum);
}  // namespace lt::cpu::highway
#endif
