#include "backends/cpu/highway/conv2d_winograd.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/conv2d_winograd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/winograd_products_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

WinogradLayout Plan(const WinogradShape& s) {
  WinogradLayout p{};
  const Columns columns = columns_of(s.out_channels);
  p.weight_tail = uint64_t{columns.vectors} * s.in_channels * lanes;
  // A line more than it takes, lest all 36 points meet in the same lines of the cache.
  p.weight_plane = align(p.weight_tail + tail_width(columns.tail) * padded_channels(s.in_channels)) + 16;
  p.weight_floats = points * p.weight_plane + align(padded_channels(s.out_channels));
  // Large weights come from the third cache, once a group: then a larger one pays.
  p.far_weights = points * p.weight_plane >= 160000;
  p.group = p.far_weights ? 2 * group_unit : group_unit;
  p.step = align(std::max(s.in_channels, s.out_channels));
  p.plane = p.group * p.step + 16;
  // Zeros for the pixels outside, then 37 planes: the products at a point take the place of the inputs at the one before.
  p.scratch_floats = zeros_floats(s) + (points + 1) * p.plane;
  return p;
}

// One vector of output channels, or fewer, at all points.
template <size_t Kernel>
HWY_INLINE void pack_vector(const WinogradShape& s, const float* weight, uint32_t in_channel, size_t channel, size_t count,
                            V (&to)[side][side]) {
  const auto load = [&](size_t row, size_t column) HWY_ATTR {
    if (!s.turned)
      return load_some(weight + ((row * Kernel + column) * s.in_channels + in_channel) * s.out_channels + channel, count);
    // The layer's own weights lie as [row][column][its input = our output][its output = our input].
    const float* from = weight +
                        (((Kernel - 1 - row) * Kernel + Kernel - 1 - column) * s.out_channels + channel) * s.in_channels +
                        in_channel;
    HWY_ALIGN float buffer[lanes] = {};
    for (size_t i = 0; i < count; ++i) buffer[i] = from[i * s.in_channels];
    return hn::Load(D(), buffer);
  };
  V half[side][5];
  for (size_t i = 0; i < side; ++i)
    for (size_t j = Kernel; j < 5; ++j) half[i][j] = hn::Zero(D());
  for (size_t j = 0; j < Kernel; ++j) {
    V g[5] = {hn::Zero(D()), hn::Zero(D()), hn::Zero(D()), hn::Zero(D()), hn::Zero(D())}, out[side];
    for (size_t i = 0; i < Kernel; ++i) g[i] = load(i, j);
    weight_all(g, g[Kernel - 1], out);
    for (size_t i = 0; i < side; ++i) half[i][j] = out[i];
  }
  for (size_t i = 0; i < side; ++i) weight_all(half[i], half[i][Kernel - 1], to[i]);
}

void Pack(const WinogradShape& s, const WinogradLayout& layout, const float* weight, const float* bias, uint32_t in_channel,
          float* packed) {
  const Columns columns = columns_of(s.out_channels);
  const auto pack = [&](size_t channel, size_t count, V(&to)[side][side]) HWY_ATTR {
    if (s.kernel == 3) {
      pack_vector<3>(s, weight, in_channel, channel, count, to);
    } else {
      pack_vector<5>(s, weight, in_channel, channel, count, to);
    }
  };
  V to[side][side];
  for (uint32_t first = 0, width = 0; first < columns.vectors; first += width) {
    width = next_panel(columns.vectors - first);
    for (uint32_t vector = first; vector < first + width; ++vector) {
      pack(vector * lanes, std::min<size_t>(lanes, s.out_channels - vector * lanes), to);
      float* out = packed + (uint64_t{first} * s.in_channels + uint64_t{in_channel} * width + vector - first) * lanes;
      for (uint32_t point = 0; point < points; ++point, out += layout.weight_plane)
        hn::StoreU(to[point / side][point % side], D(), out);
    }
  }
  if (columns.tail != 0) {
    const uint64_t step = padded_channels(s.in_channels);
    // The last channel writes the zeros behind it too.
    const uint64_t end = in_channel + 1 == s.in_channels ? step : in_channel + 1;
    pack(columns.vectors * lanes, columns.tail, to);
    for (uint32_t point = 0; point < points; ++point) {
      HWY_ALIGN float values[lanes];
      hn::Store(to[point / side][point % side], D(), values);
      float* const out = packed + point * layout.weight_plane + layout.weight_tail;
      for (uint32_t j = 0; j < tail_width(columns.tail); ++j) {
        out[j * step + in_channel] = values[j];
        for (uint64_t k = in_channel + 1; k < end; ++k) out[j * step + k] = 0;
      }
    }
  }
  if (in_channel != 0) return;
  float* const biases = packed + points * layout.weight_plane;
  for (uint32_t i = 0; i < padded_channels(s.out_channels); ++i)
    biases[i] = bias != nullptr && i < s.out_channels ? bias[i] : 0;
}

void Convolve(const WinogradShape& s, const WinogradLayout& layout, const WinogradTensors& tensors, uint32_t samples,
              float* scratch) {
  float* const zeros = scratch;
  float* const planes = scratch + zeros_floats(s);
  std::memset(zeros, 0, zeros_floats(s) * sizeof(float));
  const uint64_t all = uint64_t{s.tiles()} * samples;
  for (uint64_t first = 0; first < all; first += layout.group) {
    const uint32_t tiles = static_cast<uint32_t>(std::min<uint64_t>(layout.group, all - first));
    transform_group(s, layout, tensors, zeros, first, tiles, planes + layout.plane);
    FetchAhead ahead = look_ahead(s, tensors, first, first + tiles, std::min<uint64_t>(first + tiles + layout.group, all));
    ahead.cut(fetching_tiles(s, layout, tiles));
    for (uint32_t point = 0; point < points; ++point)
      multiply_point(s, layout, ahead, tiles, planes + (point + 1) * layout.plane,
                     tensors.packed + point * layout.weight_plane, planes + point * layout.plane);
    finish_group(s, layout, tensors, first, tiles, planes);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(WinogradPlan*, winograd_plan_table, Plan);
LT_HIGHWAY_TABLE(WinogradPack*, winograd_pack_table, Pack);
LT_HIGHWAY_TABLE(WinogradConvolve*, winograd_convolve_table, Convolve);
}  // namespace lt::cpu::highway
#endif
