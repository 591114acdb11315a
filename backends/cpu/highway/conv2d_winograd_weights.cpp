#include "backends/cpu/highway/conv2d_winograd_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/conv2d_winograd_weights.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/conv2d_tiles_inl.h"
#include "backends/cpu/highway/winograd_tile_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

WinogradWeightsLayout Plan(const WinogradShape& s) {
  WinogradWeightsLayout p{};
  const Columns columns = columns_of(s.out_channels);
  p.in_step = align(s.in_channels);
  p.out_step = align(s.out_channels);
  // Both planes of a point stay in the first cache, and all twelve pairs of them in the second one, beside the sums.
  p.group = p.in_step + p.out_step <= 128 ? 48 : 32;
  // A line more than they take, lest all points meet in the same lines of the cache.
  p.in_plane = p.group * p.in_step + 16;
  p.out_plane = p.group * p.out_step + 16;
  p.sums_step = uint64_t{columns.vectors} * lanes;
  p.tail = p.sums_step * s.in_channels;
  p.point_floats = align(p.tail + columns.tail * padded_channels(s.in_channels)) + 16;
  p.unit_floats = winograd_pair_points * p.point_floats;
  p.scratch_floats =
      align(std::max(s.in_channels, s.out_channels) + lanes) + winograd_pair_points * (p.in_plane + p.out_plane);
  return p;
}

template <class Points, size_t Outputs, class GradientPatch>
HWY_NOINLINE void transform_tiles(const WinogradShape& s, const WinogradWeightsLayout& layout,
                                  const WinogradWeightsTensors& tensors, const float* zeros, uint64_t first, uint32_t tiles,
                                  float* inputs, float* gradients) {
  const bool pooled = tensors.winners != nullptr;
  Image x{nullptr, nullptr, s.in_height, s.in_width, s.in_channels, zeros};
  Image dz{nullptr, nullptr, pooled ? s.y_height : s.out_height, pooled ? s.y_width : s.out_width, s.out_channels, zeros};
  for (uint32_t i = 0; i < tiles; ++i, inputs += layout.in_step, gradients += layout.out_step) {
    const uint32_t sample = static_cast<uint32_t>((first + i) / s.tiles()),
                   tile = static_cast<uint32_t>((first + i) % s.tiles());
    const int32_t row = static_cast<int32_t>(tile / s.tile_columns() * Outputs),
                  column = static_cast<int32_t>(tile % s.tile_columns() * Outputs),
                  padding = static_cast<int32_t>(s.padding);
    x.pixels = tensors.x + sample * s.x_elements();
    dz.pixels = tensors.dz + sample * s.y_elements();
    if (pooled) dz.winners = tensors.winners + sample * s.y_elements();
    const DensePatch<side> patch(x, row - padding, column - padding);
    size_t channel = 0;
    for (; channel + lanes <= s.in_channels; channel += lanes)
      transform_input<Points, true>(patch, channel, lanes, inputs + channel, layout.in_plane, side);
    if (channel < s.in_channels)
      transform_input<Points, false>(patch, channel, s.in_channels - channel, inputs + channel, layout.in_plane, side);
    const GradientPatch gradient(dz, row, column);
    channel = 0;
    for (; channel + lanes <= s.out_channels; channel += lanes)
      transform_gradient<Points, Outputs, true>(gradient, channel, lanes, gradients + channel, layout.out_plane);
    if (channel < s.out_channels)
      transform_gradient<Points, Outputs, false>(gradient, channel, s.out_channels - channel, gradients + channel,
                                                 layout.out_plane);
  }
}

// What the tiles [first, end) read beyond the rows of those in front; `first` is not 0.
FetchAhead look_ahead(const WinogradShape& s, const WinogradWeightsTensors& tensors, uint64_t first, uint64_t end) {
  FetchAhead ahead;
  if (first >= end) return ahead;
  const uint32_t from_sample = static_cast<uint32_t>((first - 1) / s.tiles()),
                 to_sample = static_cast<uint32_t>((end - 1) / s.tiles());
  const auto row_of = [&](uint64_t tile)
                          HWY_ATTR { return static_cast<int32_t>(tile % s.tiles() / s.tile_columns() * s.outputs()); };
  const int32_t from = row_of(first - 1), to = row_of(end - 1);
  const int32_t below = static_cast<int32_t>(side) - static_cast<int32_t>(s.padding);
  ahead.add(tensors.x, uint64_t{s.in_width} * s.in_channels, s.in_height, from_sample, from + below, to_sample, to + below);
  const uint64_t row = uint64_t{s.y_width} * s.out_channels;
  const int32_t divisor = s.pools ? 2 : 1, outputs = static_cast<int32_t>(s.outputs());
  const int32_t from_row = (from + outputs) / divisor, end_row = (to + outputs) / divisor;
  ahead.add(tensors.dz, row, s.y_height, from_sample, from_row, to_sample, end_row);
  if (tensors.winners != nullptr) ahead.add(tensors.winners, row, s.y_height, from_sample, from_row, to_sample, end_row);
  return ahead;
}

// How often sum_points fetches at a point.
uint64_t sum_slices(const WinogradShape& s) { return sum_tiles(s.in_channels, columns_of(s.out_channels).vectors); }

void sum_points(const WinogradShape& s, const WinogradWeightsLayout& layout, FetchAhead& ahead, const float* inputs,
                const float* gradients, uint32_t tiles, bool add, float* sums) {
  const Columns columns = columns_of(s.out_channels);
  const uint32_t in_vectors = static_cast<uint32_t>(padded_channels(s.in_channels) / lanes);
  for (uint32_t point = 0; point < winograd_pair_points; ++point) {
    sum_panels(inputs, layout.in_step, s.in_channels, gradients, layout.out_step, columns.vectors, tiles, add, sums,
               layout.sums_step, ahead);
    if (columns.tail != 0)
      sum_panels(gradients + columns.vectors * lanes, layout.out_step, columns.tail, inputs, layout.in_step, in_vectors,
                 tiles, add, sums + layout.tail, padded_channels(s.in_channels), ahead);
    inputs += layout.in_plane;
    gradients += layout.out_plane;
    sums += layout.point_floats;
  }
}

template <size_t Outputs, class GradientPatch>
HWY_INLINE auto transform_of(uint32_t pair) {
  return pair == 0   ? &transform_tiles<PointsA, Outputs, GradientPatch>
         : pair == 1 ? &transform_tiles<PointsB, Outputs, GradientPatch>
                     : &transform_tiles<PointsEnds, Outputs, GradientPatch>;
}

void Sum(const WinogradShape& s, const WinogradWeightsLayout& layout, const WinogradWeightsTensors& tensors,
         uint32_t samples, uint32_t pair, uint32_t pairs, float* scratch, float* sums) {
  const uint64_t zeros = align(std::max(s.in_channels, s.out_channels) + lanes);
  float* const inputs = scratch + zeros;
  float* const gradients = inputs + winograd_pair_points * layout.in_plane;
  std::memset(scratch, 0, zeros * sizeof(float));
  const bool pooled = tensors.winners != nullptr;
  const auto transform = [&](uint32_t rows) HWY_ATTR {
    return s.outputs() == 4 ? (pooled ? transform_of<4, PooledPatch<4, 0>>(rows) : transform_of<4, DensePatch<4>>(rows))
                            : (pooled ? transform_of<2, PooledPatch<2, 0>>(rows) : transform_of<2, DensePatch<2>>(rows));
  };
  const uint64_t all = uint64_t{s.tiles()} * samples;
  for (uint64_t first = 0; first < all; first += layout.group) {
    const uint32_t tiles = static_cast<uint32_t>(std::min<uint64_t>(layout.group, all - first));
    FetchAhead ahead = look_ahead(s, tensors, first + tiles, std::min<uint64_t>(first + tiles + layout.group, all));
    ahead.cut(uint64_t{pairs} * winograd_pair_points * sum_slices(s));
    for (uint32_t i = 0; i < pairs; ++i) {
      transform(pair + i)(s, layout, tensors, scratch, first, tiles, inputs, gradients);
      sum_points(s, layout, ahead, inputs, gradients, tiles, first != 0, sums + i * layout.unit_floats);
    }
  }
}

// The 36 sums of one vector to the kernel's gradients. from(point in its pair, pair): the sum over the parts.
template <size_t Kernel, class From>
HWY_INLINE void reduce_vector(const From& from, V (&to)[Kernel][Kernel]) {
  // Where a row of points lies: its pair, and whether it is the pair's second.
  constexpr uint32_t pair_of[side] = {2, 0, 0, 1, 1, 2}, second[side] = {0, 0, 1, 0, 1, 1};
  V half[Kernel][side];
  for (uint32_t j = 0; j < side; ++j) {
    V f[side], out[Kernel];
    for (uint32_t i = 0; i < side; ++i) f[i] = from(pair_of[i], second[i] * side + j);
    weight_gradients(f, out);
    for (size_t i = 0; i < Kernel; ++i) half[i][j] = out[i];
  }
  for (size_t i = 0; i < Kernel; ++i) weight_gradients(half[i], to[i]);
}

template <size_t Kernel>
void reduce_channel(const WinogradShape& s, const WinogradWeightsLayout& layout, const float* sums, uint64_t part_floats,
                    uint32_t parts, uint32_t in_channel, bool accumulate, float* dweight) {
  const Columns columns = columns_of(s.out_channels);
  const auto sum = [&](const float* at) HWY_ATTR {
    V total = hn::LoadU(D(), at);
    for (uint32_t part = 1; part < parts; ++part) total = hn::Add(total, hn::LoadU(D(), at + part * part_floats));
    return total;
  };
  V to[Kernel][Kernel];
  const uint64_t step = uint64_t{s.in_channels} * s.out_channels;
  for (size_t channel = 0; channel < columns.vectors * lanes; channel += lanes) {
    const float* const at = sums + in_channel * layout.sums_step + channel;
    reduce_vector<Kernel>([&](uint32_t pair, uint32_t point)
                              HWY_ATTR { return sum(at + pair * layout.unit_floats + point * layout.point_floats); },
                          to);
    const size_t count = s.out_channels - channel;
    float* out = dweight + uint64_t{in_channel} * s.out_channels + channel;
    for (size_t i = 0; i < Kernel; ++i)
      for (size_t j = 0; j < Kernel; ++j, out += step)
        store_some(accumulate ? hn::Add(load_some(out, count), to[i][j]) : to[i][j], out, count);
  }
  // The tail's sums lie the other way round, so the first input channel of each vector does all of its lanes.
  if (columns.tail == 0 || in_channel % lanes != 0) return;
  const size_t count = std::min<size_t>(lanes, s.in_channels - in_channel);
  for (uint32_t column = 0; column < columns.tail; ++column) {
    const float* const at = sums + layout.tail + column * padded_channels(s.in_channels) + in_channel;
    reduce_vector<Kernel>([&](uint32_t pair, uint32_t point)
                              HWY_ATTR { return sum(at + pair * layout.unit_floats + point * layout.point_floats); },
                          to);
    float* out = dweight + uint64_t{in_channel} * s.out_channels + columns.vectors * lanes + column;
    for (size_t i = 0; i < Kernel; ++i)
      for (size_t j = 0; j < Kernel; ++j, out += step) {
        HWY_ALIGN float values[lanes];
        hn::Store(to[i][j], D(), values);
        for (size_t k = 0; k < count; ++k) {
          float& weight = out[k * s.out_channels];
          weight = accumulate ? weight + values[k] : values[k];
        }
      }
  }
}

void Reduce(const WinogradShape& s, const WinogradWeightsLayout& layout, const float* sums, uint64_t part_floats,
            uint32_t parts, uint32_t in_channel, bool accumulate, float* dweight) {
  if (s.kernel == 3) {
    reduce_channel<3>(s, layout, sums, part_floats, parts, in_channel, accumulate, dweight);
  } else {
    reduce_channel<5>(s, layout, sums, part_floats, parts, in_channel, accumulate, dweight);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(WinogradWeightsPlan*, winograd_weights_plan_table, Plan);
LT_HIGHWAY_TABLE(WinogradWeightsSum*, winograd_weights_sum_table, Sum);
LT_HIGHWAY_TABLE(WinogradWeightsReduce*, winograd_weights_reduce_table, Reduce);
}  // namespace lt::cpu::highway
#endif
