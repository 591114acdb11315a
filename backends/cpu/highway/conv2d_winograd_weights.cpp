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

#include "backends/cpu/highway/winograd_products_inl.h"
#include "backends/cpu/highway/winograd_tile_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

WinogradWeightsLayout Plan(const WinogradShape& s, const WinogradLayout& products) {
  WinogradWeightsLayout p{};
  const Columns columns = columns_of(s.in_channels);
  p.x_step = align(s.out_channels);
  p.dz_step = align(s.in_channels);
  // Both planes of a point stay in the first cache, and all twelve pairs of them in the second one, beside the sums.
  p.group = p.x_step + p.dz_step <= 128 ? 2 * group_unit : 32;
  // A line more than they take, lest all points meet in the same lines of the cache.
  p.x_plane = p.group * p.x_step + 16;
  p.dz_plane = p.group * p.dz_step + 16;
  p.sums_step = uint64_t{columns.vectors} * lanes;
  p.tail = p.sums_step * s.out_channels;
  p.point_floats = align(p.tail + columns.tail * padded_channels(s.out_channels)) + 16;
  p.unit_floats = winograd_pair_points * p.point_floats;
  p.scratch_floats = zeros_floats(s) + winograd_pair_points * (p.x_plane + p.dz_plane);
  p.products = products;
  p.products.group = p.group;
  p.products.plane = (p.group + group_unit - 1) / group_unit * group_unit * products.step + 16;
  p.both_scratch_floats = zeros_floats(s) + (points + 1) * p.products.plane + points * p.x_plane;
  return p;
}

// Where a row of points lies in the sums: its pair, and whether it is the pair's second.
constexpr uint32_t pair_of[side] = {2, 0, 0, 1, 1, 2}, second_of[side] = {0, 0, 1, 0, 1, 1};

// A tile of x at the rows of `Points`.
template <class Points, size_t Outputs>
HWY_INLINE void transform_x(const WinogradShape& s, const DensePatch<Outputs>& patch, float* to, uint64_t plane,
                            uint64_t row_planes) {
  size_t channel = 0;
  for (; channel + lanes <= s.out_channels; channel += lanes)
    transform_gradient<Points, Outputs, true>(patch, channel, lanes, to + channel, plane, row_planes);
  if (channel < s.out_channels)
    transform_gradient<Points, Outputs, false>(patch, channel, s.out_channels - channel, to + channel, plane, row_planes);
}

// The tiles [first, first + tiles) of x at all points.
template <size_t Outputs>
HWY_NOINLINE void transform_all_x(const WinogradShape& s, const WinogradWeightsLayout& layout, const float* x,
                                  const float* zeros, uint64_t first, uint32_t tiles, float* to) {
  Image image{nullptr, nullptr, s.y_height, s.y_width, s.out_channels, zeros};
  for (uint32_t i = 0; i < tiles; ++i, to += layout.x_step) {
    const Place place = place_of(s, first + i);
    image.pixels = x + place.sample * s.y_elements();
    const DensePatch<Outputs> patch(image, static_cast<int32_t>(place.row), static_cast<int32_t>(place.column));
    transform_x<PointsMiddle>(s, patch, to + side * layout.x_plane, layout.x_plane, side);
    transform_x<PointsEnds>(s, patch, to, layout.x_plane, 5 * side);
  }
}

// Both tensors' tiles at the rows of `Points` alone.
template <class Points, size_t Outputs, class GradientPatch>
HWY_NOINLINE void transform_tiles(const WinogradShape& s, const WinogradWeightsLayout& layout,
                                  const WinogradWeightsTensors& tensors, const float* zeros, uint64_t first, uint32_t tiles,
                                  float* inputs, float* gradients) {
  const bool pooled = tensors.winners != nullptr;
  Image x{nullptr, nullptr, s.y_height, s.y_width, s.out_channels, zeros};
  Image dz{nullptr,       nullptr, pooled ? s.window_rows : s.in_height, pooled ? s.window_columns : s.in_width,
           s.in_channels, zeros};
  for (uint32_t i = 0; i < tiles; ++i, inputs += layout.x_step, gradients += layout.dz_step) {
    const Place place = place_of(s, first + i);
    const int32_t row = static_cast<int32_t>(place.row), column = static_cast<int32_t>(place.column),
                  padding = static_cast<int32_t>(s.padding);
    x.pixels = tensors.x + place.sample * s.y_elements();
    dz.pixels = tensors.dz + place.sample * s.x_elements();
    if (pooled) dz.winners = tensors.winners + place.sample * s.x_elements();
    transform_x<Points>(s, DensePatch<Outputs>(x, row, column), inputs, layout.x_plane, side);
    const GradientPatch patch(dz, row - padding, column - padding);
    size_t channel = 0;
    for (; channel + lanes <= s.in_channels; channel += lanes)
      transform_input<Points, true>(patch, channel, lanes, gradients + channel, layout.dz_plane, side);
    if (channel < s.in_channels)
      transform_input<Points, false>(patch, channel, s.in_channels - channel, gradients + channel, layout.dz_plane, side);
  }
}

// x of the tiles [first, end) beyond the rows of those in front.
void look_ahead_at_x(const WinogradShape& s, const float* x, uint64_t first, uint64_t end, FetchAhead& ahead) {
  if (first >= end) return;
  const Place from = place_of(s, first - 1), to = place_of(s, end - 1);
  ahead.add(x, uint64_t{s.y_width} * s.out_channels, s.y_height, from.sample, static_cast<int32_t>(from.row + s.outputs()),
            to.sample, static_cast<int32_t>(to.row + s.outputs()));
}

// How often sum_point fetches.
uint64_t sum_slices(const WinogradShape& s) { return sum_tiles(s.out_channels, columns_of(s.in_channels).vectors); }

// The sums at one point.
void sum_point(const WinogradShape& s, const WinogradWeightsLayout& layout, FetchAhead& ahead, const float* inputs,
               const float* gradients, uint64_t dz_step, uint32_t tiles, bool add, float* sums) {
  const Columns columns = columns_of(s.in_channels);
  sum_panels(inputs, layout.x_step, s.out_channels, gradients, dz_step, columns.vectors, tiles, add, sums, layout.sums_step,
             ahead);
  if (columns.tail != 0)
    sum_panels(gradients + columns.vectors * lanes, dz_step, columns.tail, inputs, layout.x_step,
               static_cast<uint32_t>(padded_channels(s.out_channels) / lanes), tiles, add, sums + layout.tail,
               padded_channels(s.out_channels), ahead);
}

template <size_t Outputs, class GradientPatch>
HWY_INLINE auto transform_of(uint32_t pair) {
  return pair == 0   ? &transform_tiles<PointsA, Outputs, GradientPatch>
         : pair == 1 ? &transform_tiles<PointsB, Outputs, GradientPatch>
                     : &transform_tiles<PointsEnds, Outputs, GradientPatch>;
}
template <size_t Outputs>
HWY_INLINE auto transform_for(const WinogradShape& s, bool pooled, uint32_t pair) {
  if (!pooled) return transform_of<Outputs, DensePatch<side>>(pair);
  return s.padding % 2 == 0 ? transform_of<Outputs, PooledPatch<side, 0>>(pair)
                            : transform_of<Outputs, PooledPatch<side, 1>>(pair);
}

void Sum(const WinogradShape& s, const WinogradWeightsLayout& layout, const WinogradWeightsTensors& tensors,
         uint32_t samples, uint32_t pair, uint32_t pairs, float* scratch, float* sums) {
  const uint64_t zeros = zeros_floats(s);
  float* const inputs = scratch + zeros;
  float* const gradients = inputs + winograd_pair_points * layout.x_plane;
  std::memset(scratch, 0, zeros * sizeof(float));
  const bool pooled = tensors.winners != nullptr;
  const uint64_t all = uint64_t{s.tiles()} * samples;
  for (uint64_t first = 0; first < all; first += layout.group) {
    const uint32_t tiles = static_cast<uint32_t>(std::min<uint64_t>(layout.group, all - first));
    const uint64_t next = first + tiles, end = std::min<uint64_t>(next + layout.group, all);
    FetchAhead ahead;
    look_ahead_at_inputs(s, {tensors.dz, tensors.winners, nullptr, nullptr, nullptr, false}, next, end, ahead);
    look_ahead_at_x(s, tensors.x, next, end, ahead);
    ahead.cut(uint64_t{pairs} * winograd_pair_points * sum_slices(s));
    for (uint32_t i = 0; i < pairs; ++i) {
      const auto transform =
          s.outputs() == 4 ? transform_for<4>(s, pooled, pair + i) : transform_for<2>(s, pooled, pair + i);
      transform(s, layout, tensors, scratch, first, tiles, inputs, gradients);
      for (uint32_t point = 0; point < winograd_pair_points; ++point)
        sum_point(s, layout, ahead, inputs + point * layout.x_plane, gradients + point * layout.dz_plane, layout.dz_step,
                  tiles, first != 0, sums + i * layout.unit_floats + point * layout.point_floats);
    }
  }
}

void Both(const WinogradShape& s, const WinogradWeightsLayout& layout, const WinogradTensors& tensors, const float* x,
          uint32_t samples, float* scratch, float* sums) {
  const uint64_t zeros = zeros_floats(s);
  const WinogradLayout& products = layout.products;
  float* const planes = scratch + zeros;
  float* const inputs = planes + (points + 1) * products.plane;
  std::memset(scratch, 0, zeros * sizeof(float));
  const uint64_t all = uint64_t{s.tiles()} * samples;
  for (uint64_t first = 0; first < all; first += layout.group) {
    const uint32_t tiles = static_cast<uint32_t>(std::min<uint64_t>(layout.group, all - first));
    const uint64_t next = first + tiles, end = std::min<uint64_t>(next + layout.group, all);
    transform_group(s, products, tensors, scratch, first, tiles, planes + products.plane);
    if (s.outputs() == 4) {
      transform_all_x<4>(s, layout, x, scratch, first, tiles, inputs);
    } else {
      transform_all_x<2>(s, layout, x, scratch, first, tiles, inputs);
    }
    FetchAhead ahead = look_ahead(s, tensors, first, next, end);
    look_ahead_at_x(s, x, next, end, ahead);
    ahead.cut(fetching_tiles(s, products, tiles) + points * sum_slices(s));
    for (uint32_t point = 0; point < points; ++point) {
      const uint32_t row = point / side;
      const float* const gradients = planes + (point + 1) * products.plane;
      sum_point(s, layout, ahead, inputs + point * layout.x_plane, gradients, products.step, tiles, first != 0,
                sums + pair_of[row] * layout.unit_floats + (second_of[row] * side + point % side) * layout.point_floats);
      multiply_point(s, products, ahead, tiles, gradients, tensors.packed + point * products.weight_plane,
                     planes + point * products.plane);
    }
    finish_group(s, products, tensors, first, tiles, planes);
  }
}

// The 36 sums of one vector to the kernel's gradients. from(point in its pair, pair): the sum over the parts.
template <size_t Kernel, class From>
HWY_INLINE void reduce_vector(const From& from, V (&to)[Kernel][Kernel]) {
  V half[Kernel][side];
  for (uint32_t j = 0; j < side; ++j) {
    V f[side], out[Kernel];
    for (uint32_t i = 0; i < side; ++i) f[i] = from(pair_of[i], second_of[i] * side + j);
    weight_gradients(f, out);
    for (size_t i = 0; i < Kernel; ++i) half[i][j] = out[i];
  }
  // The gradients' tile lies in front of the inputs': the kernel comes out turned round.
  for (size_t i = 0; i < Kernel; ++i) {
    V row[Kernel];
    weight_gradients(half[Kernel - 1 - i], row);
    for (size_t j = 0; j < Kernel; ++j) to[i][j] = row[Kernel - 1 - j];
  }
}

template <size_t Kernel>
void reduce_channel(const WinogradShape& s, const WinogradWeightsLayout& layout, const float* sums, uint64_t part_floats,
                    uint32_t parts, uint32_t in_channel, bool accumulate, float* dweight) {
  const Columns columns = columns_of(s.in_channels);
  const auto sum = [&](const float* at) HWY_ATTR {
    V total = hn::LoadU(D(), at);
    for (uint32_t part = 1; part < parts; ++part) total = hn::Add(total, hn::LoadU(D(), at + part * part_floats));
    return total;
  };
  V to[Kernel][Kernel];
  const uint64_t step = uint64_t{s.out_channels} * s.in_channels;
  for (size_t channel = 0; channel < columns.vectors * lanes; channel += lanes) {
    const float* const at = sums + in_channel * layout.sums_step + channel;
    reduce_vector<Kernel>([&](uint32_t pair, uint32_t point)
                              HWY_ATTR { return sum(at + pair * layout.unit_floats + point * layout.point_floats); },
                          to);
    const size_t count = s.in_channels - channel;
    float* out = dweight + uint64_t{in_channel} * s.in_channels + channel;
    for (size_t i = 0; i < Kernel; ++i)
      for (size_t j = 0; j < Kernel; ++j, out += step)
        store_some(accumulate ? hn::Add(load_some(out, count), to[i][j]) : to[i][j], out, count);
  }
  // The tail's sums lie the other way round, so the first input channel of each vector does all of its lanes.
  if (columns.tail == 0 || in_channel % lanes != 0) return;
  const size_t count = std::min<size_t>(lanes, s.out_channels - in_channel);
  for (uint32_t column = 0; column < columns.tail; ++column) {
    const float* const at = sums + layout.tail + column * padded_channels(s.out_channels) + in_channel;
    reduce_vector<Kernel>([&](uint32_t pair, uint32_t point)
                              HWY_ATTR { return sum(at + pair * layout.unit_floats + point * layout.point_floats); },
                          to);
    float* out = dweight + uint64_t{in_channel} * s.in_channels + columns.vectors * lanes + column;
    for (size_t i = 0; i < Kernel; ++i)
      for (size_t j = 0; j < Kernel; ++j, out += step) {
        HWY_ALIGN float values[lanes];
        hn::Store(to[i][j], D(), values);
        for (size_t k = 0; k < count; ++k) {
          float& weight = out[k * s.in_channels];
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
LT_HIGHWAY_TABLE(WinogradBothGradients*, winograd_both_gradients_table, Both);
LT_HIGHWAY_TABLE(WinogradWeightsReduce*, winograd_weights_reduce_table, Reduce);
}  // namespace lt::cpu::highway
#endif
