// The steps of Winograd's products for a group of tiles: inputs to the 36 points, products at a point, outputs back. Shared
// by the forward form, the inputs' gradient and the joined backward pass. Compiled once a target into each file that
// includes it, after hwy/highway.h. Nothing here owns memory; any thread may call.
#if defined(LT_WINOGRAD_PRODUCTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_WINOGRAD_PRODUCTS_INL_H
#undef LT_WINOGRAD_PRODUCTS_INL_H
#else
#define LT_WINOGRAD_PRODUCTS_INL_H
#endif

#include "backends/cpu/highway/conv2d_tiles_inl.h"
#include "backends/cpu/highway/conv2d_winograd.h"
#include "backends/cpu/highway/winograd_tile_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

// A row of a tile that lies outside, of inputs or of outputs.
uint64_t zeros_floats(const WinogradShape& s) { return align(side * std::max(s.in_channels, s.out_channels) + lanes); }

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

// What the tiles [first, end) read beyond the rows of those in front. `first` is not 0.
void look_ahead_at_inputs(const WinogradShape& s, const WinogradTensors& tensors, uint64_t first, uint64_t end,
                          FetchAhead& ahead) {
  if (first >= end) return;
  const Place from = place_of(s, first - 1), to = place_of(s, end - 1);
  const bool pooled = tensors.winners != nullptr;
  const int32_t below = static_cast<int32_t>(side) - static_cast<int32_t>(s.padding),
                from_row = static_cast<int32_t>(from.row), to_row = static_cast<int32_t>(to.row);
  const uint64_t row = uint64_t{pooled ? s.window_columns : s.in_width} * s.in_channels;
  if (!pooled) {
    ahead.add(tensors.x, row, s.in_height, from.sample, from_row + below, to.sample, to_row + below);
    return;
  }
  const int32_t begin = (from_row + below + 1) / 2, behind = (to_row + below + 1) / 2;
  ahead.add(tensors.x, row, s.window_rows, from.sample, begin, to.sample, behind);
  ahead.add(tensors.winners, row, s.window_rows, from.sample, begin, to.sample, behind);
}

// The same, and the place of the outputs of [written, first).
FetchAhead look_ahead(const WinogradShape& s, const WinogradTensors& tensors, uint64_t written, uint64_t first,
                      uint64_t end) {
  FetchAhead ahead;
  const Place from = place_of(s, written), to = place_of(s, first - 1);
  const int32_t divisor = s.pools ? 2 : 1;
  ahead.add(tensors.y, uint64_t{s.y_width} * s.out_channels, s.y_height, from.sample,
            static_cast<int32_t>(from.row) / divisor, to.sample, static_cast<int32_t>(to.row + s.outputs()) / divisor);
  look_ahead_at_inputs(s, tensors, first, end, ahead);
  return ahead;
}

// Register tiles of a group that fetch what `ahead` holds.
uint64_t fetching_tiles(const WinogradShape& s, const WinogradLayout& layout, uint32_t tiles) {
  return points * panel_tiles(columns_of(s.out_channels).vectors, tiles, layout.far_weights);
}

// The products at one point: `inputs` x `weights` -> `to`.
void multiply_point(const WinogradShape& s, const WinogradLayout& layout, FetchAhead& ahead, uint32_t tiles,
                    const float* inputs, const float* weights, float* to) {
  const Columns columns = columns_of(s.out_channels);
  const uint32_t vectors = static_cast<uint32_t>(padded_channels(s.in_channels) / lanes);
  multiply_panels(inputs, layout.step, tiles, weights, s.in_channels, columns.vectors, to, layout.step, layout.far_weights,
                  ahead);
  const auto tail = [&](auto run) HWY_ATTR {
    run(inputs, layout.step, tiles, weights + layout.weight_tail, vectors, to + columns.vectors * lanes, layout.step);
  };
  if (tail_width(columns.tail) == 1) tail(&multiply_tail<1>);
  if (tail_width(columns.tail) == 2) tail(&multiply_tail<2>);
  if (tail_width(columns.tail) == 4) tail(&multiply_tail<4>);
}

// B^T d B of a group of tiles, whatever their pixels are.
void transform_group(const WinogradShape& s, const WinogradLayout& layout, const WinogradTensors& tensors,
                     const float* zeros, uint64_t first, uint32_t tiles, float* inputs) {
  const auto transform = [&](auto run) HWY_ATTR { run(s, layout, tensors, zeros, first, tiles, inputs); };
  if (tensors.winners == nullptr) {
    transform(&transform_inputs<DensePatch<side>>);
  } else if (s.padding % 2 == 0) {
    transform(&transform_inputs<PooledPatch<side, 0>>);
  } else {
    transform(&transform_inputs<PooledPatch<side, 1>>);
  }
}

// A^T m A of a group of tiles, and what comes behind it, to y.
void finish_group(const WinogradShape& s, const WinogradLayout& layout, const WinogradTensors& tensors, uint64_t first,
                  uint32_t tiles, const float* products) {
  const auto finish = [&](auto run) HWY_ATTR { run(s, layout, tensors, first, tiles, products); };
  if (s.outputs() == 4) {
    finish(s.pools ? &finish_tiles<4, true> : &finish_tiles<4, false>);
  } else {
    finish(s.pools ? &finish_tiles<2, true> : &finish_tiles<2, false>);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif  // LT_WINOGRAD_PRODUCTS_INL_H
