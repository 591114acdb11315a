#include "backends/cpu/highway/conv2d_forward.h"

#include <algorithm>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/conv2d_forward.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/conv2d_sample_inl.h"
#include "backends/cpu/highway/fetch_ahead.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

// The largest tile: columns of one row, or of two rows of half as many, times 2 or 3 vectors. 24 sums of 32 registers leave
// room for the weights and a pixel; with 16 registers 8 to 12 sums do.
#if HWY_TARGET == HWY_AVX3
constexpr uint32_t tile_columns(uint32_t vectors) { return vectors == 3 ? 8 : 12; }
constexpr uint32_t tile_pool_columns(uint32_t vectors) { return vectors == 3 ? 4 : 6; }
constexpr uint32_t most_vectors = 3;
#else
constexpr uint32_t tile_columns(uint32_t) { return 6; }
constexpr uint32_t tile_pool_columns(uint32_t) { return 2; }
constexpr uint32_t most_vectors = 2;
#endif
// The vectors of the next block of output channels.
constexpr uint32_t block_vectors(uint32_t rest) { return rest <= most_vectors ? rest : 2; }

struct TileInput {
  const float* x;                // the copied input at the tile's top left pixel, kernel row 0, channel 0
  uint64_t row_step;             // from one output row to the next
  uint64_t row, channel, phase;  // floats of a copied row, of its channels, of their phases
  FetchSlice<1> ahead;           // a step a weight; not with a pool, whose outputs are a quarter
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
  FetchSlice<1> ahead = in.ahead;
  for (uint32_t kernel_row = 0; kernel_row < s.kernel; ++kernel_row) {
    const float* x = in.x + kernel_row * in.row;
    for (uint32_t channel = 0; channel < s.in_channels; ++channel, x += in.channel) {
      const float* at = x;
      for (uint32_t column = 0, phase = 0; column < s.kernel; ++column, packed += Vectors * lanes) {
        if constexpr (Rows == 1) ahead.fetch();
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

// The rows [first, end) of one block of output channels.
template <size_t Vectors>
void convolve_block(const Conv2dShape& s, const float* input, const float* packed, TileOutput out, bool in_tile,
                    uint32_t first, uint32_t end, FetchAhead& ahead) {
  TileInput in{input, 0, conv2d_row_floats(s), conv2d_phase_columns(s) * s.stride, conv2d_phase_columns(s), {}};
  in.row_step = in.row * s.stride;
  const uint32_t columns = in_tile ? 2 * s.y_width : s.conv_width;
  const uint64_t skipped = uint64_t{first} * (in_tile ? s.y_width : s.conv_width) * out.channels;
  out.y += skipped;
  if (out.argmax != nullptr) out.argmax += skipped;
  for (uint32_t row = first; row < end; ++row) {
    in.x = input + row * in.row_step * (in_tile ? 2 : 1);
    for (uint32_t column = 0; column < columns;) {
      if (in_tile) {
        ahead.fetch();
      } else {
        in.ahead = ahead.slice<1>(static_cast<uint32_t>(s.fan_in()));
      }
      constexpr uint32_t most = tile_columns(Vectors), most_pool = tile_pool_columns(Vectors);
      const uint32_t rest = columns - column;
      const uint32_t done = in_tile ? run_tile_pool<most_pool, Vectors>(even_share(rest, most_pool, 2), s, in, packed, out)
                                    : run_tile<most, Vectors>(even_share(rest, most, 1), s, in, packed, out);
      const uint32_t pixels = in_tile ? done / 2 : done;
      column += done;
      in.x += done;
      out.y += uint64_t{pixels} * out.channels;
      if (out.argmax != nullptr) out.argmax += uint64_t{pixels} * out.channels;
    }
  }
}

// The columns that fill no vector, `Tail` of them, for one row: vectors of pixels instead.
template <size_t Tail>
HWY_NOINLINE void convolve_tail(const Conv2dShape& s, const TileInput& in, const float* packed, const TileOutput& out) {
  constexpr size_t groups = 2;
  for (uint32_t column = 0; column < s.conv_width; column += groups * lanes) {
    V sums[groups][Tail];
    LT_CONV2D_UNROLL for (size_t j = 0; j < Tail; ++j) LT_CONV2D_UNROLL for (size_t g = 0; g < groups; ++g) sums[g][j] =
        hn::Set(D(), packed[j]);
    const float* w = packed + Tail;
    for (uint32_t kernel_row = 0; kernel_row < s.kernel; ++kernel_row)
      for (uint32_t channel = 0; channel < s.in_channels; ++channel) {
        const float* const x = in.x + kernel_row * in.row + channel * in.channel + column;
        for (uint32_t kernel_column = 0; kernel_column < s.kernel; ++kernel_column, w += Tail) {
          const float* const at = x + kernel_column % s.stride * in.phase + kernel_column / s.stride;
          V pixels[groups];
          LT_CONV2D_UNROLL for (size_t g = 0; g < groups; ++g) pixels[g] = hn::LoadU(D(), at + g * lanes);
          LT_CONV2D_UNROLL for (size_t j = 0; j < Tail; ++j) {
            const V weight = hn::Set(D(), w[j]);
            LT_CONV2D_UNROLL for (size_t g = 0; g < groups; ++g) sums[g][j] = hn::MulAdd(pixels[g], weight, sums[g][j]);
          }
        }
      }
    HWY_ALIGN float values[Tail][groups * lanes];
    LT_CONV2D_UNROLL for (size_t j = 0; j < Tail; ++j) LT_CONV2D_UNROLL for (size_t g = 0; g < groups; ++g)
        hn::Store(relu_of(sums[g][j], out.relu), D(), values[j] + g * lanes);
    float* to = out.y + uint64_t{column} * out.channels;
    for (uint32_t i = 0; i < std::min<uint32_t>(groups * lanes, s.conv_width - column); ++i, to += out.channels)
      LT_CONV2D_UNROLL for (size_t j = 0; j < Tail; ++j) to[j] = values[j][i];
  }
}

// A pool's windows are finished as vectors of channels, so only layers without have a tail.
Columns columns_of(const Conv2dShape& s) {
  const Columns columns = columns_of(s.out_channels);
  if (columns.tail == 0 || !conv2d_pools_in_tile(s)) return columns;
  return {columns.vectors + 1, 0};
}
// Packed floats of one column.
uint64_t column_floats(const Conv2dShape& s) { return s.fan_in() + 1; }

uint64_t PackedFloats(const Conv2dShape& s) {
  const Columns columns = columns_of(s);
  return align((columns.vectors * lanes + columns.tail) * column_floats(s));
}

// Calls body(first vector, vectors) for each block.
template <class Body>
void for_each_block(const Columns& columns, const Body& body) {
  for (uint32_t first = 0, width = 0; first < columns.vectors; first += width) {
    width = block_vectors(columns.vectors - first);
    body(first, width);
  }
}

uint32_t PackBlocks(const Conv2dShape& s) {
  const Columns columns = columns_of(s);
  uint32_t blocks = columns.tail != 0;
  for_each_block(columns, [&](uint32_t, uint32_t) { ++blocks; });
  return blocks;
}

// The columns [first, first + width), as many as there are.
void pack_columns(const Conv2dShape& s, const float* weight, const float* bias, size_t first, size_t width, float* to) {
  const size_t count = std::min<size_t>(width, s.out_channels - first);
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

void Pack(const Conv2dShape& s, const float* weight, const float* bias, uint32_t block, float* packed) {
  const Columns columns = columns_of(s);
  uint32_t index = 0;
  const auto pack = [&](size_t first, size_t width) {
    if (index++ == block) pack_columns(s, weight, bias, first, width, packed + first * column_floats(s));
  };
  for_each_block(columns, [&](uint32_t first, uint32_t width) { pack(first * lanes, width * lanes); });
  if (columns.tail != 0) pack(columns.vectors * lanes, columns.tail);
}

void convolve_tails(const Conv2dShape& s, const float* input, const float* packed, TileOutput out, uint32_t tail,
                    uint32_t first, uint32_t end) {
  TileInput in{input, 0, conv2d_row_floats(s), conv2d_phase_columns(s) * s.stride, conv2d_phase_columns(s), {}};
  out.y += uint64_t{first} * s.conv_width * out.channels;
  for (uint32_t row = first; row < end; ++row, out.y += uint64_t{s.conv_width} * out.channels) {
    in.x = input + row * in.row * s.stride;
    if (tail == 1) convolve_tail<1>(s, in, packed, out);
    if (tail == 2) convolve_tail<2>(s, in, packed, out);
    if (tail == 3) convolve_tail<3>(s, in, packed, out);
    if (tail == 4) convolve_tail<4>(s, in, packed, out);
  }
}

// Weights that stay in the first cache, in floats: then a row goes through all blocks while its outputs are near too.
constexpr uint64_t near_floats = 4096;

void Forward(const Conv2dShape& s, const float* x, const float* packed, bool relu, float* scratch, float* y,
             uint8_t* argmax) {
  const bool in_tile = conv2d_pools_in_tile(s), pool_after = s.has_pool && !in_tile;
  float* conv = pool_after ? scratch + conv2d_input_floats(s) : y;
  copy_input(s, x, scratch);
  const Columns columns = columns_of(s);
  const uint32_t rows = in_tile ? s.y_height : s.conv_height;
  const uint32_t strip = PackedFloats(s) <= near_floats ? 1 : rows;
  const auto output = [&](size_t first) {
    return TileOutput{conv + first, in_tile && argmax != nullptr ? argmax + first : nullptr, s.out_channels,
                      static_cast<uint32_t>(s.out_channels - first), relu && !pool_after};
  };
  FetchAhead ahead;
  if (!pool_after && strip == 1) {
    // y comes from far away too, to be written.
    ahead.add(y, uint64_t{s.y_width} * s.out_channels, s.y_height, 0, 0, 0, static_cast<int32_t>(s.y_height));
    uint64_t tiles = 0;
    for_each_block(columns, [&](uint32_t, uint32_t width) {
      const uint32_t most = in_tile ? tile_pool_columns(width) : tile_columns(width);
      tiles += ((in_tile ? 2 * s.y_width : s.conv_width) + most - 1) / most;
    });
    ahead.cut(tiles * rows);
    for (uint32_t i = 0; i < tiles; ++i) ahead.fetch();  // a row ahead
  }
  for (uint32_t row = 0; row < rows; row += strip) {
    const uint32_t end = row + strip;
    for_each_block(columns, [&](uint32_t first, uint32_t width) HWY_ATTR {
      const float* const weights = packed + first * lanes * column_floats(s);
      const TileOutput out = output(first * lanes);
      if (width == 1) convolve_block<1>(s, scratch, weights, out, in_tile, row, end, ahead);
      if (width == 2) convolve_block<2>(s, scratch, weights, out, in_tile, row, end, ahead);
      if constexpr (most_vectors > 2) {
        if (width == 3) convolve_block<3>(s, scratch, weights, out, in_tile, row, end, ahead);
      }
    });
    if (columns.tail != 0)
      convolve_tails(s, scratch, packed + columns.vectors * lanes * column_floats(s), output(columns.vectors * lanes),
                     columns.tail, row, end);
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
