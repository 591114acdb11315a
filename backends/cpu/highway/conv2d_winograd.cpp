#include "backends/cpu/highway/conv2d_winograd.h"

#include <algorithm>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/conv2d_winograd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/conv2d_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

constexpr uint32_t side = 6, points = side * side;

// Register tiles of the products: rows (tiles of the image) times vectors of output channels.
#if HWY_TARGET == HWY_AVX3
constexpr uint32_t most_vectors = 4;
constexpr uint32_t rows_of(uint32_t vectors) { return vectors == 4 ? 6 : vectors == 3 ? 8 : 12; }
#else
constexpr uint32_t most_vectors = 2;
constexpr uint32_t rows_of(uint32_t) { return 6; }
#endif
constexpr uint32_t group_unit = 24;  // a multiple of all of them

// Outputs along a tile's side.
uint32_t outputs_of(const Conv2dShape& s) { return side + 1 - s.kernel; }

constexpr uint64_t align(uint64_t floats) { return (floats + 15) / 16 * 16; }
uint32_t out_vectors(const Conv2dShape& s) { return static_cast<uint32_t>((s.out_channels + lanes - 1) / lanes); }

Conv2dWinogradLayout WinogradPlan(const Conv2dShape& s) {
  Conv2dWinogradLayout p{};
  const uint32_t outputs = outputs_of(s);
  const uint32_t height = s.has_pool ? 2 * s.y_height : s.conv_height, width = s.has_pool ? 2 * s.y_width : s.conv_width;
  p.tile_rows = (height + outputs - 1) / outputs;
  p.tile_columns = (width + outputs - 1) / outputs;
  p.padded_height = std::max(s.padded_height(), p.tile_rows * outputs + side - outputs);
  p.padded_width = std::max(s.padded_width(), p.tile_columns * outputs + side - outputs);
  p.in_step = align(s.in_channels);
  p.out_step = align(s.out_channels);
  p.weight_plane = s.in_channels * (out_vectors(s) * lanes);
  p.weight_floats = align(points * p.weight_plane + out_vectors(s) * lanes);
  // Large weights come from the third cache, once a group: then a larger one pays.
  p.group = points * p.weight_plane < 100000 ? group_unit : 3 * group_unit;
  // One line more than they take, lest all 36 points of a tile meet in the same lines of the cache.
  p.in_plane = p.group * p.in_step + 16;
  p.out_plane = p.group * p.out_step + 16;
  p.padded = 0;
  p.inputs = p.padded + align(uint64_t{p.padded_height} * p.padded_width * s.in_channels + lanes);
  p.products = p.inputs + points * p.in_plane;
  p.scratch_floats = p.products + points * p.out_plane;
  return p;
}

HWY_INLINE V times(float factor, V value) { return hn::Mul(hn::Set(D(), factor), value); }
HWY_INLINE V plus_times(V sum, float factor, V value) { return hn::MulAdd(hn::Set(D(), factor), value, sum); }

// [(-1)^0 p^0 ...] at the six points, with the factors 1/4, -1/6, -1/6, 1/24, 1/24 and 1.
HWY_INLINE void transform_weight(V g0, V g1, V g2, V g3, V g4, V last, V (&to)[side]) {
  const V even = hn::Add(g0, hn::Add(g2, g4)), odd = hn::Add(g1, g3);
  const V even2 = plus_times(plus_times(g0, 4, g2), 16, g4), odd2 = plus_times(times(2, g1), 8, g3);
  to[0] = times(0.25f, g0);
  to[1] = times(-1.0f / 6, hn::Add(even, odd));
  to[2] = times(-1.0f / 6, hn::Sub(even, odd));
  to[3] = times(1.0f / 24, hn::Add(even2, odd2));
  to[4] = times(1.0f / 24, hn::Sub(even2, odd2));
  to[5] = last;
}

HWY_INLINE V load_some(const float* from, size_t count) {
  if (count >= lanes) return hn::LoadU(D(), from);
  HWY_ALIGN float buffer[lanes] = {};
  for (size_t i = 0; i < count; ++i) buffer[i] = from[i];
  return hn::Load(D(), buffer);
}

// The blocks of output channels: as even as they come, of at most most_vectors vectors. packed: [point][block][in channel]
// [channel of the block].
HWY_INLINE uint32_t next_block(uint32_t rest) {
  const uint32_t blocks = (rest + most_vectors - 1) / most_vectors;
  return (rest + blocks - 1) / blocks;
}

void WinogradPack(const Conv2dShape& s, const Conv2dWinogradLayout& layout, const float* weight, const float* bias,
                  uint32_t in_channel, float* packed) {
  const uint32_t vectors = out_vectors(s);
  for (uint32_t first = 0, width = 0; first < vectors; first += width) {
    width = next_block(vectors - first);
    for (uint32_t vector = first; vector < first + width; ++vector) {
      const size_t channel = vector * lanes, count = std::min<size_t>(lanes, s.out_channels - channel);
      if (in_channel == 0)
        for (size_t i = 0; i < lanes; ++i)
          packed[points * layout.weight_plane + channel + i] = bias != nullptr && i < count ? bias[channel + i] : 0;
      V columns[side][5];  // transformed along the kernel's columns
      for (uint32_t column = 0; column < s.kernel; ++column) {
        V g[5] = {hn::Zero(D()), hn::Zero(D()), hn::Zero(D()), hn::Zero(D()), hn::Zero(D())}, to[side];
        for (uint32_t row = 0; row < s.kernel; ++row)
          g[row] = load_some(
              weight + ((uint64_t{row} * s.kernel + column) * s.in_channels + in_channel) * s.out_channels + channel,
              count);
        transform_weight(g[0], g[1], g[2], g[3], g[4], g[s.kernel - 1], to);
        for (uint32_t i = 0; i < side; ++i) columns[i][column] = to[i];
      }
      float* out = packed + (uint64_t{first} * s.in_channels + uint64_t{in_channel} * width + vector - first) * lanes;
      for (uint32_t i = 0; i < side; ++i) {
        V* g = columns[i];
        V to[side];
        for (uint32_t column = s.kernel; column < 5; ++column) g[column] = hn::Zero(D());
        transform_weight(g[0], g[1], g[2], g[3], g[4], g[s.kernel - 1], to);
        for (uint32_t j = 0; j < side; ++j) hn::StoreU(to[j], D(), out + (i * side + j) * layout.weight_plane);
      }
    }
  }
}

HWY_INLINE void transform_input(V d0, V d1, V d2, V d3, V d4, V d5, V (&to)[side]) {
  const V a = plus_times(d4, -4, d2), b = plus_times(d3, -4, d1), c = hn::Sub(d4, d2), e = hn::Sub(d3, d1);
  to[0] = plus_times(plus_times(d4, -5, d2), 4, d0);
  to[1] = hn::Add(a, b);
  to[2] = hn::Sub(a, b);
  to[3] = plus_times(c, 2, e);
  to[4] = plus_times(c, -2, e);
  to[5] = plus_times(plus_times(d5, -5, d3), 4, d1);
}

// `to`: this tile's place in the first plane.
void transform_inputs(const Conv2dShape& s, const Conv2dWinogradLayout& layout, const float* tile, float* to) {
  const uint64_t row = uint64_t{layout.padded_width} * s.in_channels;
  for (uint32_t channel = 0; channel < s.in_channels; channel += lanes) {
    V half[side][side];
    for (uint32_t column = 0; column < side; ++column) {
      const float* from = tile + uint64_t{column} * s.in_channels + channel;
      V out[side];
      transform_input(hn::LoadU(D(), from), hn::LoadU(D(), from + row), hn::LoadU(D(), from + 2 * row),
                      hn::LoadU(D(), from + 3 * row), hn::LoadU(D(), from + 4 * row), hn::LoadU(D(), from + 5 * row), out);
      for (uint32_t i = 0; i < side; ++i) half[i][column] = out[i];
    }
    float* out_row = to + channel;
    for (uint32_t i = 0; i < side; ++i) {
      V out[side];
      transform_input(half[i][0], half[i][1], half[i][2], half[i][3], half[i][4], half[i][5], out);
      for (uint32_t j = 0; j < side; ++j, out_row += layout.in_plane) hn::StoreU(out[j], D(), out_row);
    }
  }
}

template <size_t... J>
HWY_INLINE void load_vectors(const float* from, V (&to)[sizeof...(J)], std::index_sequence<J...>) {
  ((to[J] = hn::LoadU(D(), from + J * lanes)), ...);
}

template <size_t... J>
HWY_INLINE void multiply_row(const float* x, const V (&w)[sizeof...(J)], V* HWY_RESTRICT sums, std::index_sequence<J...>) {
  V value = hn::Set(D(), *x);
  keep_in_register(value);
  ((sums[J] = hn::MulAdd(value, w[J], sums[J])), ...);
}

template <size_t N, size_t... R>
HWY_INLINE void multiply_rows(const float* const (&x)[sizeof...(R)], size_t at, const V (&w)[N], V* HWY_RESTRICT sums,
                              std::index_sequence<R...>) {
  (multiply_row(x[R] + at, w, sums + R * N, std::make_index_sequence<N>()), ...);
}

template <size_t... J>
HWY_INLINE void store_vectors(const V* HWY_RESTRICT sums, float* to, std::index_sequence<J...>) {
  (hn::StoreU(sums[J], D(), to + J * lanes), ...);
}

template <size_t N, size_t... R>
HWY_INLINE void store_rows(const V* HWY_RESTRICT sums, float* to, uint64_t step, std::index_sequence<R...>) {
  ((store_vectors(sums + R * N, to, std::make_index_sequence<N>()), to = as_it_is(to + step)), ...);
}

template <size_t... I>
HWY_INLINE void clear(V* HWY_RESTRICT sums, std::index_sequence<I...>) {
  ((sums[I] = hn::Zero(D())), ...);
}

template <size_t... R>
HWY_INLINE void row_pointers(const float* x, uint64_t step, const float* (&to)[sizeof...(R)], std::index_sequence<R...>) {
  ((to[R] = x + R * step), ...);
}

// products[tile][channel] = sum over the input channels of inputs[tile] * weight, for one point and one block of channels.
template <size_t N>
HWY_NOINLINE void multiply(const float* inputs, uint64_t in_step, uint32_t tiles, const float* weight, uint32_t in_channels,
                           float* products, uint64_t out_step) {
  constexpr size_t count = rows_of(N);
  constexpr auto rows = std::make_index_sequence<count>();
  for (uint32_t tile = 0; tile < tiles; tile += count, inputs += count * in_step, products += count * out_step) {
    const float* x[count];
    row_pointers(inputs, in_step, x, rows);
    V sums[count * N];
    clear(sums, std::make_index_sequence<count * N>());
    const float* w_at = weight;
    for (size_t k = 0; k < in_channels; ++k, w_at += N * lanes) {
      V w[N];
      load_vectors(w_at, w, std::make_index_sequence<N>());
      multiply_rows(x, k, w, sums, rows);
    }
    store_rows<N>(sums, products, out_step, rows);
  }
}

template <size_t Outputs>
HWY_INLINE void transform_product(V m0, V m1, V m2, V m3, V m4, V m5, V (&to)[Outputs]) {
  const V sum = hn::Add(m1, m2), difference = hn::Sub(m1, m2), sum2 = hn::Add(m3, m4), difference2 = hn::Sub(m3, m4);
  to[0] = hn::Add(hn::Add(m0, sum), sum2);
  if constexpr (Outputs == 2) {
    to[1] = hn::Add(plus_times(difference, 2, difference2), m5);
  } else {
    to[1] = plus_times(difference, 2, difference2);
    to[2] = plus_times(sum, 4, sum2);
    to[3] = hn::Add(plus_times(difference, 8, difference2), m5);
  }
}

// One tile to y: `row` and `column` of its first output, in pixels of the convolution.
template <size_t Outputs>
HWY_INLINE void finish_tile(const Conv2dShape& s, const Conv2dWinogradLayout& layout, const float* products,
                            const float* bias, bool relu, uint32_t row, uint32_t column, float* y, uint8_t* argmax) {
  for (uint32_t channel = 0; channel < s.out_channels; channel += lanes) {
    const size_t count = std::min<size_t>(lanes, s.out_channels - channel);
    V half[Outputs][side], pixels[Outputs][Outputs];
    const float* from = products + channel;
    for (uint32_t j = 0; j < side; ++j, from += layout.out_plane) {
      V out[Outputs];
      const uint64_t step = side * layout.out_plane;
      transform_product<Outputs>(hn::LoadU(D(), from), hn::LoadU(D(), from + step), hn::LoadU(D(), from + 2 * step),
                                 hn::LoadU(D(), from + 3 * step), hn::LoadU(D(), from + 4 * step),
                                 hn::LoadU(D(), from + 5 * step), out);
      for (size_t i = 0; i < Outputs; ++i) half[i][j] = out[i];
    }
    const V add = hn::LoadU(D(), bias + channel);
    for (size_t i = 0; i < Outputs; ++i) {
      V out[Outputs];
      transform_product<Outputs>(half[i][0], half[i][1], half[i][2], half[i][3], half[i][4], half[i][5], out);
      for (size_t j = 0; j < Outputs; ++j) pixels[i][j] = hn::Add(out[j], add);
    }
    for (uint32_t i = 0; i < Outputs; i += s.has_pool ? 2 : 1)
      for (uint32_t j = 0; j < Outputs; j += s.has_pool ? 2 : 1) {
        const uint32_t y_row = (row + i) / (s.has_pool ? 2 : 1), y_column = (column + j) / (s.has_pool ? 2 : 1);
        if (y_row >= s.y_height || y_column >= s.y_width) continue;
        const uint64_t at = (uint64_t{y_row} * s.y_width + y_column) * s.out_channels + channel;
        V value = pixels[i][j];
        if (s.has_pool) {
          Index index = hn::Zero(DI());
          take_larger(pixels[i][j + 1], 1, value, index);
          take_larger(pixels[i + 1][j], 2, value, index);
          take_larger(pixels[i + 1][j + 1], 3, value, index);
          if (argmax != nullptr) store_some(index, argmax + at, count);
        }
        store_some(relu_of(value, relu), y + at, count);
      }
  }
}

void pad_sample(const Conv2dShape& s, const Conv2dWinogradLayout& layout, const float* x, float* padded) {
  const uint64_t row = uint64_t{layout.padded_width} * s.in_channels, count = uint64_t{s.width} * s.in_channels;
  for (uint32_t i = 0; i < s.height; ++i)
    std::memcpy(padded + (i + s.padding) * row + uint64_t{s.padding} * s.in_channels, x + i * count, count * sizeof(float));
}

void multiply_group(const Conv2dShape& s, const Conv2dWinogradLayout& layout, uint32_t tiles, const float* packed,
                    float* scratch) {
  const uint32_t vectors = out_vectors(s);
  for (uint32_t point = 0; point < points; ++point) {
    const float* inputs = scratch + layout.inputs + point * layout.in_plane;
    for (uint32_t first = 0, width = 0; first < vectors; first += width) {
      width = next_block(vectors - first);
      const float* weight = packed + point * layout.weight_plane + uint64_t{first} * s.in_channels * lanes;
      float* products = scratch + layout.products + point * layout.out_plane + first * lanes;
      const auto run = [&](auto multiply_block) HWY_ATTR {
        multiply_block(inputs, layout.in_step, tiles, weight, s.in_channels, products, layout.out_step);
      };
      if (width == 1) run(&multiply<1>);
      if (width == 2) run(&multiply<2>);
      if constexpr (most_vectors > 2) {
        if (width == 3) run(&multiply<3>);
        if (width == 4) run(&multiply<4>);
      }
    }
  }
}

void WinogradForward(const Conv2dShape& s, const Conv2dWinogradLayout& layout, const float* x, uint32_t samples,
                     const float* packed, bool relu, float* scratch, float* y, uint8_t* argmax) {
  const uint32_t outputs = outputs_of(s), sample_tiles = layout.tile_rows * layout.tile_columns;
  const uint64_t all = uint64_t{sample_tiles} * samples;
  const float* bias = packed + points * layout.weight_plane;
  float* padded = scratch + layout.padded;
  std::memset(padded, 0, (layout.inputs - layout.padded) * sizeof(float));
  uint32_t padded_sample = samples;  // none yet
  for (uint64_t start = 0; start < all; start += layout.group) {
    const uint32_t tiles = static_cast<uint32_t>(std::min<uint64_t>(layout.group, all - start));
    const auto for_each_tile = [&](const auto& body) HWY_ATTR {
      for (uint32_t i = 0; i < tiles; ++i) {
        const uint32_t sample = static_cast<uint32_t>((start + i) / sample_tiles), tile = (start + i) % sample_tiles;
        body(i, sample, tile / layout.tile_columns * outputs, tile % layout.tile_columns * outputs);
      }
    };
    for_each_tile([&](uint32_t i, uint32_t sample, uint32_t row, uint32_t column) HWY_ATTR {
      if (sample != padded_sample) pad_sample(s, layout, x + sample * s.x_elements(), padded);
      padded_sample = sample;
      transform_inputs(s, layout, padded + (uint64_t{row} * layout.padded_width + column) * s.in_channels,
                       scratch + layout.inputs + i * layout.in_step);
    });
    multiply_group(s, layout, tiles, packed, scratch);
    for_each_tile([&](uint32_t i, uint32_t sample, uint32_t row, uint32_t column) HWY_ATTR {
      const float* products = scratch + layout.products + i * layout.out_step;
      float* to = y + sample * s.y_elements();
      uint8_t* winners = argmax != nullptr ? argmax + sample * s.y_elements() : nullptr;
      if (outputs == 2) {
        finish_tile<2>(s, layout, products, bias, relu, row, column, to, winners);
      } else {
        finish_tile<4>(s, layout, products, bias, relu, row, column, to, winners);
      }
    });
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {

bool conv2d_winograd_serves(const Conv2dShape& s) {
  const bool pool_in_tile = !s.has_pool || (s.pool_kernel == 2 && s.pool_stride == 2 && s.pool_padding == 0);
  return (s.kernel == 3 || s.kernel == 5) && s.stride == 1 && pool_in_tile && s.in_channels >= 16 && s.out_channels >= 16;
}

LT_HIGHWAY_TABLE(Conv2dWinogradPlan*, conv2d_winograd_plan_table, WinogradPlan);
LT_HIGHWAY_TABLE(Conv2dWinogradPack*, conv2d_winograd_pack_table, WinogradPack);
LT_HIGHWAY_TABLE(Conv2dWinogradForward*, conv2d_winograd_forward_table, WinogradForward);
}  // namespace lt::cpu::highway
#endif
