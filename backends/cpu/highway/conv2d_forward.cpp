#include "backends/cpu/highway/conv2d_forward.h"

#include <algorithm>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/conv2d_forward.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/conv2d_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

// The largest tile: columns x 2 vectors of one row, or of two rows of half as many columns. 24 sums of 32 registers leave
// room for two weights and a pixel; with 16 registers 8 to 12 sums do.
#if HWY_TARGET == HWY_AVX3
constexpr uint32_t tile_columns = 12, tile_pool_columns = 6;
#else
constexpr uint32_t tile_columns = 6, tile_pool_columns = 2;
#endif
constexpr uint32_t tile_vectors = 2;

struct TileInput {
  const float* x;                // the copied input at the tile's top left pixel, kernel row 0, channel 0
  uint64_t row_step;             // from one output row to the next
  uint64_t row, channel, phase;  // floats of a copied row, of its channels, of their phases
};

template <size_t... J>
HWY_INLINE void multiply_pixel(const float* x, const V (&w)[sizeof...(J)], V* HWY_RESTRICT sums,
                               std::index_sequence<J...>) {
  V pixel = hn::Set(D(), *x);
  keep_in_register(pixel);
  ((sums[J] = hn::MulAdd(pixel, w[J], sums[J])), ...);
}

template <size_t Columns, size_t... P, class Vectors, size_t N>
HWY_INLINE void multiply_pixels(const float* const (&rows)[2], const V (&w)[N], V* HWY_RESTRICT sums,
                                std::index_sequence<P...>, Vectors vectors) {
  (multiply_pixel(rows[P / Columns] + P % Columns, w, sums + P * N, vectors), ...);
}

template <size_t... J>
HWY_INLINE void load_vectors(const float* from, V (&to)[sizeof...(J)], std::index_sequence<J...>) {
  ((to[J] = hn::Load(D(), from + J * lanes)), ...);
}

template <size_t N, size_t... I>
HWY_INLINE void start_sums(const V (&bias)[N], V* HWY_RESTRICT sums, std::index_sequence<I...>) {
  ((sums[I] = bias[I % N]), ...);
}

// sums[row * Columns + column][vector] = bias + x * weight.
template <size_t Rows, size_t Columns, size_t Vectors>
HWY_INLINE void convolve(const Conv2dShape& s, const TileInput& in, const float* packed,
                         V (&sums)[Rows * Columns * Vectors]) {
  constexpr auto vectors = std::make_index_sequence<Vectors>();
  V w[Vectors];
  load_vectors(packed, w, vectors);
  start_sums(w, sums, std::make_index_sequence<Rows * Columns * Vectors>());
  packed += Vectors * lanes;
  for (uint32_t kernel_row = 0; kernel_row < s.kernel; ++kernel_row) {
    const float* x = in.x + kernel_row * in.row;
    for (uint32_t channel = 0; channel < s.in_channels; ++channel, x += in.channel) {
      const float* at = x;
      for (uint32_t column = 0, phase = 0; column < s.kernel; ++column, packed += Vectors * lanes) {
        load_vectors(packed, w, vectors);
        const float* const rows[2] = {at, at + in.row_step};
        multiply_pixels<Columns>(rows, w, sums, std::make_index_sequence<Rows * Columns>(), vectors);
        // The next kernel column: the next phase or, past the last, the next place of the first phase.
        at += in.phase;
        if (++phase == s.stride) {
          phase = 0;
          at -= s.stride * in.phase - 1;
        }
      }
    }
  }
}

struct TileOutput {
  float* y;
  uint8_t* argmax;
  uint32_t channels;  // of a pixel of y
  uint32_t count;     // channels of this block that exist
  bool relu;
};

template <size_t Columns, size_t Vectors, size_t I>
HWY_INLINE void finish_window(const TileOutput& out, const V* HWY_RESTRICT sums) {
  constexpr size_t window = I / Vectors, vector = I % Vectors;
  constexpr size_t top = (2 * window) * Vectors + vector, bottom = top + Columns * Vectors;
  if (vector != 0 && out.count <= vector * lanes) return;
  V largest = sums[top];
  Index index = hn::Zero(DI());
  take_larger(sums[top + Vectors], 1, largest, index);
  take_larger(sums[bottom], 2, largest, index);
  take_larger(sums[bottom + Vectors], 3, largest, index);
  const size_t at = window * out.channels + vector * lanes, count = out.count - vector * lanes;
  store_some(relu_of(largest, out.relu), out.y + at, count);
  if (out.argmax != nullptr) store_some(index, out.argmax + at, count);
}

template <size_t Columns, size_t Vectors, size_t... I>
HWY_INLINE void finish_windows(const TileOutput& out, const V* HWY_RESTRICT sums, std::index_sequence<I...>) {
  (finish_window<Columns, Vectors, I>(out, sums), ...);
}

template <size_t Vectors, size_t I>
HWY_INLINE void finish_pixel(const TileOutput& out, const V* HWY_RESTRICT sums) {
  constexpr size_t pixel = I / Vectors, vector = I % Vectors;
  if (vector != 0 && out.count <= vector * lanes) return;
  store_some(relu_of(sums[I], out.relu), out.y + pixel * out.channels + vector * lanes, out.count - vector * lanes);
}

template <size_t Vectors, size_t... I>
HWY_INLINE void finish_pixels(const TileOutput& out, const V* HWY_RESTRICT sums, std::index_sequence<I...>) {
  (finish_pixel<Vectors, I>(out, sums), ...);
}

template <size_t Columns, size_t Vectors>
HWY_NOINLINE void tile(const Conv2dShape& s, const TileInput& in, const float* packed, const TileOutput& out) {
  V sums[Columns * Vectors];
  convolve<1, Columns, Vectors>(s, in, packed, sums);
  finish_pixels<Vectors>(out, sums, std::make_index_sequence<Columns * Vectors>());
}

template <size_t Columns, size_t Vectors>
HWY_NOINLINE void tile_pool(const Conv2dShape& s, const TileInput& in, const float* packed, const TileOutput& out) {
  V sums[2 * Columns * Vectors];
  convolve<2, Columns, Vectors>(s, in, packed, sums);
  finish_windows<Columns, Vectors>(out, sums, std::make_index_sequence<Columns / 2 * Vectors>());
}

// Runs the tile of at most `columns` columns and returns how many it did.
template <size_t Columns, size_t Vectors>
HWY_INLINE uint32_t run_tile(uint32_t columns, const Conv2dShape& s, const TileInput& in, const float* packed,
                             const TileOutput& out) {
  if constexpr (Columns > 1) {
    if (columns < Columns) return run_tile<(Columns > 2 ? Columns - 2 : 1), Vectors>(columns, s, in, packed, out);
  }
  tile<Columns, Vectors>(s, in, packed, out);
  return Columns;
}

template <size_t Columns, size_t Vectors>
HWY_INLINE uint32_t run_tile_pool(uint32_t columns, const Conv2dShape& s, const TileInput& in, const float* packed,
                                  const TileOutput& out) {
  if constexpr (Columns > 2) {
    if (columns < Columns) return run_tile_pool<Columns - 2, Vectors>(columns, s, in, packed, out);
  }
  tile_pool<Columns, Vectors>(s, in, packed, out);
  return Columns;
}

// The next tile's width: the rest of the row in equal tiles, rounded up to whole steps.
HWY_INLINE uint32_t even_share(uint32_t rest, uint32_t most, uint32_t step) {
  const uint32_t tiles = (rest + most - 1) / most;
  return ((rest + tiles - 1) / tiles + step - 1) / step * step;
}

template <size_t Vectors>
void convolve_block(const Conv2dShape& s, const float* input, const float* packed, TileOutput out, bool in_tile) {
  TileInput in{input, 0, conv2d_row_floats(s), conv2d_phase_columns(s) * s.stride, conv2d_phase_columns(s)};
  in.row_step = in.row * s.stride;
  const uint32_t rows = in_tile ? s.y_height : s.conv_height, columns = in_tile ? 2 * s.y_width : s.conv_width;
  for (uint32_t row = 0; row < rows; ++row) {
    in.x = input + row * in.row_step * (in_tile ? 2 : 1);
    for (uint32_t column = 0; column < columns;) {
      const uint32_t done =
          in_tile ? run_tile_pool<tile_pool_columns, Vectors>(even_share(columns - column, tile_pool_columns, 2), s, in,
                                                              packed, out)
                  : run_tile<tile_columns, Vectors>(even_share(columns - column, tile_columns, 1), s, in, packed, out);
      const uint32_t pixels = in_tile ? done / 2 : done;
      column += done;
      in.x += done;
      out.y += uint64_t{pixels} * out.channels;
      if (out.argmax != nullptr) out.argmax += uint64_t{pixels} * out.channels;
    }
  }
}

void copy_input(const Conv2dShape& s, const float* x, float* input) {
  const uint64_t phase = conv2d_phase_columns(s), channel_floats = phase * s.stride, row_floats = conv2d_row_floats(s);
  if (s.padding != 0 || s.padded_width() % s.stride != 0)
    std::memset(input, 0, row_floats * s.padded_height() * sizeof(float));
  for (uint32_t row = 0; row < s.height; ++row) {
    float* to = input + (row + s.padding) * row_floats;
    for (uint32_t column = 0; column < s.width; ++column, x += s.in_channels) {
      const uint32_t padded = column + s.padding;
      float* at = to + padded % s.stride * phase + padded / s.stride;
      for (uint32_t channel = 0; channel < s.in_channels; ++channel) at[channel * channel_floats] = x[channel];
    }
  }
}

// Any pool, from the convolution of one sample.
void pool_sample(const Conv2dShape& s, const float* conv, bool relu, float* y, uint8_t* argmax) {
  const uint64_t row_floats = uint64_t{s.conv_width} * s.out_channels;
  for (uint32_t row = 0; row < s.y_height; ++row) {
    for (uint32_t column = 0; column < s.y_width; ++column, y += s.out_channels) {
      // The part of the window inside; there is some, the padding being less than the kernel.
      const uint32_t top = row * s.pool_stride, left = column * s.pool_stride, p = s.pool_padding;
      const uint32_t first_row = p > top ? p - top : 0, last_row = std::min(s.pool_kernel, s.conv_height + p - top);
      const uint32_t first_column = p > left ? p - left : 0, last_column = std::min(s.pool_kernel, s.conv_width + p - left);
      for (uint32_t channel = 0; channel < s.out_channels; channel += lanes) {
        const size_t count = std::min<size_t>(lanes, s.out_channels - channel);
        HWY_ALIGN float buffer[lanes] = {};
        V largest = hn::Zero(D());
        Index index = hn::Zero(DI());
        for (uint32_t r = first_row; r < last_row; ++r)
          for (uint32_t c = first_column; c < last_column; ++c) {
            const float* at = conv + (top + r - p) * row_floats + uint64_t{left + c - p} * s.out_channels + channel;
            V candidate;
            if (count == lanes) {
              candidate = hn::LoadU(D(), at);
            } else {
              for (size_t i = 0; i < count; ++i) buffer[i] = at[i];
              candidate = hn::Load(D(), buffer);
            }
            const int32_t place = static_cast<int32_t>(r * s.pool_kernel + c);
            if (r == first_row && c == first_column) {
              largest = candidate;
              index = hn::Set(DI(), place);
            } else {
              take_larger(candidate, place, largest, index);
            }
          }
        store_some(relu_of(largest, relu), y + channel, count);
        if (argmax != nullptr) store_some(index, argmax + channel, count);
      }
      if (argmax != nullptr) argmax += s.out_channels;
    }
  }
}

uint32_t channel_vectors(const Conv2dShape& s) { return static_cast<uint32_t>((s.out_channels + lanes - 1) / lanes); }
uint64_t vector_floats(const Conv2dShape& s) { return (s.fan_in() + 1) * lanes; }

uint64_t PackedFloats(const Conv2dShape& s) { return (channel_vectors(s) * vector_floats(s) + 15) / 16 * 16; }

uint32_t PackBlocks(const Conv2dShape& s) { return (channel_vectors(s) + tile_vectors - 1) / tile_vectors; }

void Pack(const Conv2dShape& s, const float* weight, const float* bias, uint32_t block, float* packed) {
  const uint32_t first_vector = block * tile_vectors;
  const size_t width = std::min(tile_vectors, channel_vectors(s) - first_vector) * lanes;
  const size_t first = first_vector * lanes, count = std::min<size_t>(width, s.out_channels - first);
  float* to = packed + first_vector * vector_floats(s);
  for (size_t i = 0; i < width; ++i) to[i] = bias != nullptr && i < count ? bias[first + i] : 0;
  to += width;
  for (uint32_t row = 0; row < s.kernel; ++row)
    for (uint32_t channel = 0; channel < s.in_channels; ++channel)
      for (uint32_t column = 0; column < s.kernel; ++column, to += width) {
        const float* from =
            weight + ((uint64_t{row} * s.kernel + column) * s.in_channels + channel) * s.out_channels + first;
        std::memcpy(to, from, count * sizeof(float));
        if (count < width) std::memset(to + count, 0, (width - count) * sizeof(float));
      }
}

void Forward(const Conv2dShape& s, const float* x, const float* packed, bool relu, float* scratch, float* y,
             uint8_t* argmax) {
  const bool in_tile = conv2d_pools_in_tile(s), pool_after = s.has_pool && !in_tile;
  float* conv = pool_after ? scratch + conv2d_input_floats(s) : y;
  copy_input(s, x, scratch);
  for (uint32_t vector = 0; vector < channel_vectors(s); vector += tile_vectors) {
    const uint32_t first = static_cast<uint32_t>(vector * lanes);
    const TileOutput out{conv + first, in_tile && argmax != nullptr ? argmax + first : nullptr, s.out_channels,
                         s.out_channels - first, relu && !pool_after};
    const float* weights = packed + vector * vector_floats(s);
    if (vector + 1 < channel_vectors(s)) {
      convolve_block<2>(s, scratch, weights, out, in_tile);
    } else {
      convolve_block<1>(s, scratch, weights, out, in_tile);
    }
  }
  if (pool_after) pool_sample(s, conv, relu, y, argmax);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(Conv2dPackedFloats*, conv2d_packed_floats_table, PackedFloats);
LT_HIGHWAY_TABLE(Conv2dPackBlocks*, conv2d_pack_blocks_table, PackBlocks);
LT_HIGHWAY_TABLE(Conv2dPack*, conv2d_pack_table, Pack);
LT_HIGHWAY_TABLE(Conv2dForward*, conv2d_forward_table, Forward);
}  // namespace lt::cpu::highway
#endif
