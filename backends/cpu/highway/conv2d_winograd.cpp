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

#include "backends/cpu/highway/conv2d_tiles_inl.h"
#include "backends/cpu/highway/winograd_tile_inl.h"

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
  p.group = points * p.weight_plane < 160000 ? group_unit : 2 * group_unit;
  p.step = align(std::max(s.in_channels, s.out_channels));
  p.plane = p.group * p.step + 16;
  // Zeros for the pixels outside, then 37 planes: the products at a point take the place of the inputs at the one before.
  p.scratch_floats = align(s.in_channels + lanes) + (points + 1) * p.plane;
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

// Where a tile lies: its sample, and its first output's row and column.
struct Place {
  uint32_t sample, row, column;
};
HWY_INLINE Place place_of(const WinogradShape& s, uint64_t tile) {
  const uint32_t in_sample = static_cast<uint32_t>(tile % s.tiles());
  return {static_cast<uint32_t>(tile / s.tiles()), in_sample / s.tile_columns() * s.outputs(),
          in_sample % s.tile_columns() * s.outputs()};
}

// The tiles [first, first + tiles) to `inputs`, the first tile's place in the first plane.
template <class Patch>
HWY_NOINLINE void transform_inputs(const WinogradShape& s, const WinogradLayout& layout, const WinogradTensors& tensors,
                                   const float* zeros, uint64_t first, uint32_t tiles, float* inputs) {
  const bool pooled = tensors.winners != nullptr;
  Image image{nullptr,       nullptr, pooled ? s.window_rows : s.in_height, pooled ? s.window_columns : s.in_width,
              s.in_channels, zeros};
  for (uint32_t i = 0; i < tiles; ++i, inputs += layout.step) {
    const Place place = place_of(s, first + i);
    image.pixels = tensors.x + place.sample * s.x_elements();
    if (pooled) image.winners = tensors.winners + place.sample * s.x_elements();
    const Patch patch(image, static_cast<int32_t>(place.row - s.padding), static_cast<int32_t>(place.column - s.padding));
    const auto transform = [&](auto full, size_t channel, size_t count) HWY_ATTR {
      constexpr bool is_full = decltype(full)::value;
      float* const to = inputs + channel;
      transform_input<PointsMiddle, is_full>(patch, channel, count, to + side * layout.plane, layout.plane, side);
      transform_input<PointsEnds, is_full>(patch, channel, count, to, layout.plane, 5 * side);
    };
    size_t channel = 0;
    for (; channel + lanes <= s.in_channels; channel += lanes) transform(std::true_type(), channel, lanes);
    if (channel < s.in_channels) transform(std::false_type(), channel, s.in_channels - channel);
  }
}

// One vector of channels of one tile to y. `rows`, `columns`: how many of y the tile has.
template <size_t Outputs, bool Pools>
HWY_INLINE void finish_vector(const WinogradShape& s, const WinogradLayout& layout, const float* products, V bias,
                              bool relu, uint32_t rows, uint32_t columns, size_t count, float* y, uint8_t* argmax) {
  V half[Outputs][side], pixels[Outputs][Outputs];
  LT_CONV2D_UNROLL for (size_t j = 0; j < side; ++j) {
    V m[side], out[Outputs];
    const float* from = products + j * layout.plane;
    LT_CONV2D_UNROLL for (size_t i = 0; i < side; ++i, from += side * layout.plane) m[i] = hn::LoadU(D(), from);
    output_all(m, out);
    LT_CONV2D_UNROLL for (size_t i = 0; i < Outputs; ++i) half[i][j] = out[i];
  }
  LT_CONV2D_UNROLL for (size_t i = 0; i < Outputs; ++i) {
    output_all(half[i], pixels[i]);
    LT_CONV2D_UNROLL for (size_t j = 0; j < Outputs; ++j) pixels[i][j] = hn::Add(pixels[i][j], bias);
  }
  constexpr size_t window = Pools ? 2 : 1;
  const uint64_t row_floats = uint64_t{s.y_width} * s.out_channels;
  LT_CONV2D_UNROLL for (size_t i = 0; i < Outputs / window; ++i) {
    LT_CONV2D_UNROLL for (size_t j = 0; j < Outputs / window; ++j) {
      if (i >= rows || j >= columns) continue;
      const uint64_t at = i * row_floats + j * s.out_channels;
      V value = pixels[i * window][j * window];
      if constexpr (Pools) {
        Index index = hn::Zero(DI());
        take_larger(pixels[2 * i][2 * j + 1], 1, value, index);
        take_larger(pixels[2 * i + 1][2 * j], 2, value, index);
        take_larger(pixels[2 * i + 1][2 * j + 1], 3, value, index);
        if (argmax != nullptr) store_some(index, argmax + at, count);
      }
      store_some(relu_of(value, relu), y + at, count);
    }
  }
}

template <size_t Outputs, bool Pools>
HWY_NOINLINE void finish_tiles(const WinogradShape& s, const WinogradLayout& layout, const WinogradTensors& tensors,
                               uint64_t first, uint32_t tiles, const float* products) {
  const float* const bias = tensors.packed + points * layout.weight_plane;
  for (uint32_t i = 0; i < tiles; ++i, products += layout.step) {
    const Place place = place_of(s, first + i);
    const uint32_t row = place.row / (Pools ? 2 : 1), column = place.column / (Pools ? 2 : 1);
    const uint64_t at = place.sample * s.y_elements() + (uint64_t{row} * s.y_width + column) * s.out_channels;
    float* const y = tensors.y + at;
    uint8_t* const argmax = Pools && tensors.argmax != nullptr ? tensors.argmax + at : nullptr;
    for (size_t channel = 0; channel < s.out_channels; channel += lanes)
      finish_vector<Outputs, Pools>(s, layout, products + channel, hn::LoadU(D(), bias + channel), tensors.relu,
                                    s.y_height - row, s.y_width - column, s.out_channels - channel, y + channel,
                                    argmax != nullptr ? argmax + channel : nullptr);
  }
}

// What the tiles [first, end) read beyond the rows of those in front, and the place of the outputs of [written, first).
// `first` is not 0.
FetchAhead look_ahead(const WinogradShape& s, const WinogradTensors& tensors, uint64_t written, uint64_t first,
                      uint64_t end) {
  FetchAhead ahead;
  const auto add = [&](auto* samples, uint64_t row_elements, uint32_t rows, int32_t from_row, int32_t to_row,
                       int32_t divisor, uint64_t from_tile, uint64_t to_tile) HWY_ATTR {
    const Place from = place_of(s, from_tile), to = place_of(s, to_tile);
    ahead.add(samples, row_elements, rows, from.sample, (static_cast<int32_t>(from.row) + from_row) / divisor, to.sample,
              (static_cast<int32_t>(to.row) + to_row) / divisor);
  };
  add(tensors.y, uint64_t{s.y_width} * s.out_channels, s.y_height, 0, static_cast<int32_t>(s.outputs()), s.pools ? 2 : 1,
      written, first - 1);
  if (first >= end) return ahead;
  const int32_t below = static_cast<int32_t>(side) - static_cast<int32_t>(s.padding);
  if (tensors.winners != nullptr) {
    const uint64_t row = uint64_t{s.window_columns} * s.in_channels;
    add(tensors.x, row, s.window_rows, below + 1, below + 1, 2, first - 1, end - 1);
    add(tensors.winners, row, s.window_rows, below + 1, below + 1, 2, first - 1, end - 1);
  } else {
    add(tensors.x, uint64_t{s.in_width} * s.in_channels, s.in_height, below, below, 1, first - 1, end - 1);
  }
  return ahead;
}

void multiply_points(const WinogradShape& s, const WinogradLayout& layout, FetchAhead& ahead, uint32_t tiles,
                     const float* packed, float* planes) {
  const Columns columns = columns_of(s.out_channels);
  const uint32_t vectors = static_cast<uint32_t>(padded_channels(s.in_channels) / lanes);
  ahead.cut(points * panel_tiles(columns.vectors, tiles));
  for (uint32_t point = 0; point < points; ++point, packed += layout.weight_plane, planes += layout.plane) {
    const float* const inputs = planes + layout.plane;
    multiply_panels(inputs, layout.step, tiles, packed, s.in_channels, columns.vectors, planes, layout.step, ahead);
    const auto tail = [&](auto run) HWY_ATTR {
      run(inputs, layout.step, tiles, packed + layout.weight_tail, vectors, planes + columns.vectors * lanes, layout.step);
    };
    if (tail_width(columns.tail) == 1) tail(&multiply_tail<1>);
    if (tail_width(columns.tail) == 2) tail(&multiply_tail<2>);
    if (tail_width(columns.tail) == 4) tail(&multiply_tail<4>);
  }
}

void Convolve(const WinogradShape& s, const WinogradLayout& layout, const WinogradTensors& tensors, uint32_t samples,
              float* scratch) {
  float* const zeros = scratch;
  float* const planes = scratch + align(s.in_channels + lanes);
  std::memset(zeros, 0, align(s.in_channels + lanes) * sizeof(float));
  const uint64_t all = uint64_t{s.tiles()} * samples;
  for (uint64_t first = 0; first < all; first += layout.group) {
    const uint32_t tiles = static_cast<uint32_t>(std::min<uint64_t>(layout.group, all - first));
    const auto transform = [&](auto run) HWY_ATTR { run(s, layout, tensors, zeros, first, tiles, planes + layout.plane); };
    if (tensors.winners == nullptr) {
      transform(&transform_inputs<DensePatch<side>>);
    } else if (s.padding % 2 == 0) {
      transform(&transform_inputs<PooledPatch<side, 0>>);
    } else {
      transform(&transform_inputs<PooledPatch<side, 1>>);
    }
    FetchAhead ahead = look_ahead(s, tensors, first, first + tiles, std::min<uint64_t>(first + tiles + layout.group, all));
    multiply_points(s, layout, ahead, tiles, tensors.packed, planes);
    const auto finish = [&](auto run) HWY_ATTR { run(s, layout, tensors, first, tiles, planes); };
    if (s.outputs() == 4) {
      finish(s.pools ? &finish_tiles<4, true> : &finish_tiles<4, false>);
    } else {
      finish(s.pools ? &finish_tiles<2, true> : &finish_tiles<2, false>);
    }
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
