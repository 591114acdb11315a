// The transforms of groups of tiles, for every instruction set: see winograd_groups_inl.h.
#include <algorithm>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/winograd_groups.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/winograd_groups_inl.h"
#include "backends/cpu/highway/winograd_tile_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

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

}  // namespace

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

void finish_group(const WinogradShape& s, const WinogradLayout& layout, const WinogradTensors& tensors, uint64_t first,
                  uint32_t tiles, const float* products) {
  const auto finish = [&](auto run) HWY_ATTR { run(s, layout, tensors, first, tiles, products); };
  if (s.outputs() == 4) {
    finish(s.pools ? &finish_tiles<4, true> : &finish_tiles<4, false>);
  } else {
    finish(s.pools ? &finish_tiles<2, true> : &finish_tiles<2, false>);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();
