// The operands of a product, on their way from global to shared memory. An operand is one of
//   rows      [row][k], gemm_step_bytes of k a step, 16 bytes between rows: any 8 rows next to each other are read without
//   two
//             of them meeting in a bank
//   columns   [k][column], with 16 (bf16) or 32 (float) bytes between, for the same reason
// Each thread copies the same chunks of every tile; what depends on rows and columns alone is worked out once.
#pragma once

#include "backends/cuda/kernels/bf16.h"
#include "backends/cuda/kernels/gemm_copy.cuh"

namespace lt::cuda {

template <class T>
inline constexpr uint32_t step_k = gemm_step_bytes / sizeof(T);  // 16 floats, 32 bf16

struct RowsLayout {
  static constexpr uint32_t stride = gemm_step_bytes + 16;
  static constexpr uint32_t bytes(uint32_t rows) { return rows * stride; }
};
template <class T>
struct ColumnsLayout {
  static constexpr uint32_t stride(uint32_t columns) { return columns * sizeof(T) + (sizeof(T) == 2 ? 16 : 32); }
  static constexpr uint32_t bytes(uint32_t columns) { return step_k<T> * stride(columns); }
};

// Where in its image a position's first tap lies. Rows of `no_row` are outside of every image.
struct ImagePlace {
  uint32_t sample;
  int32_t row, column;
};
inline constexpr int32_t no_row = -(1 << 30);

LT_DEVICE ImagePlace image_place(const GemmImage& image, uint32_t index) {
  const uint32_t sample = divide(index, image.positions), position = index - sample * image.positions.value;
  const uint32_t window = image.pooled != 0 ? position / 4 : position;
  uint32_t row = divide(window, image.position_width), column = window - row * image.position_width.value;
  if (image.pooled != 0) {
    row = 2 * row + position / 2 % 2;
    column = 2 * column + position % 2;
  }
  return {sample, static_cast<int32_t>(row) * image.position_step + image.position_offset,
          static_cast<int32_t>(column) * image.position_step + image.position_offset};
}

struct Tap {
  int32_t row, column;
};
LT_DEVICE Tap kernel_tap(const GemmImage& image, uint32_t tap) {
  const uint32_t row = divide(tap, image.kernel);
  return {static_cast<int32_t>(row), static_cast<int32_t>(tap - row * image.kernel.value)};
}

// The channel-th element of the pixel at a place and tap; null outside.
template <class T>
LT_DEVICE const T* image_pixel(const GemmImage& image, ImagePlace place, Tap tap, uint32_t channel) {
  int32_t row = place.row + image.direction * tap.row, column = place.column + image.direction * tap.column;
  if (row < 0 || column < 0) return nullptr;
  if (image.stride_down != 1) {
    const auto down = static_cast<int32_t>(image.stride_down);
    if (row % down != 0 || column % down != 0) return nullptr;
    row /= down;
    column /= down;
  }
  if (static_cast<uint32_t>(row) >= image.height || static_cast<uint32_t>(column) >= image.width) return nullptr;
  const uint64_t pixel =
      (uint64_t{place.sample} * image.height + static_cast<uint32_t>(row)) * image.width + static_cast<uint32_t>(column);
  return static_cast<const T*>(image.data) + pixel * image.pitch + channel;
}

template <class T>
LT_DEVICE uint32_t chunk_length(uint32_t channel, uint32_t channels) {
  return channel >= channels ? 0 : min(channels - channel, chunk_elements<T>);
}

// Splits an index that runs over (tap, channel).
struct TapChannel {
  uint32_t tap, channel;
};
LT_DEVICE TapChannel split_taps(const GemmImage& image, uint32_t index) {
  const uint32_t tap = divide(index, image.padded_channels);
  return {tap, index - tap * image.padded_channels.value};
}

inline constexpr uint32_t chunks_of_row = gemm_step_bytes / gemm_chunk_bytes;
inline constexpr uint32_t rows_of_pass = gemm_threads / chunks_of_row;

// forward, dx: rows are positions, k runs over the image's (tap, channel).
template <class T, uint32_t rows>
struct GatheredRows {
  static constexpr uint32_t bytes = RowsLayout::bytes(rows), passes = rows / rows_of_pass;

  const GemmImage& image;
  uint32_t taps;
  ImagePlace places[passes];

  LT_DEVICE GatheredRows(const GemmArguments& a, uint32_t first_row)
      : image(a.image), taps(a.image.kernel.value * a.image.kernel.value) {
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const uint32_t row = first_row + pass * rows_of_pass + threadIdx.x / chunks_of_row;
      places[pass] = row < a.result.m ? image_place(image, row) : ImagePlace{0, no_row, no_row};
    }
  }
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    const uint32_t chunk = threadIdx.x % chunks_of_row;
    const auto [tap, channel] = split_taps(image, k + chunk * chunk_elements<T>);
    const Tap at = kernel_tap(image, tap);
    const uint32_t length = tap < taps ? chunk_length<T>(channel, image.channels) : 0;
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const uint32_t row = pass * rows_of_pass + threadIdx.x / chunks_of_row;
      const T* pixel = image_pixel<T>(image, places[pass], at, channel);
      copy_chunk(tile + row * RowsLayout::stride + chunk * gemm_chunk_bytes,
                 pixel != nullptr ? pixel : static_cast<const T*>(image.data), pixel != nullptr ? length : 0,
                 image.copy_bytes);
    }
  }
};

// forward: rows are the weight's out channels, k runs over its (tap, in channel).
template <class T, uint32_t rows>
struct WeightRows {
  static constexpr uint32_t bytes = RowsLayout::bytes(rows), passes = rows / rows_of_pass;

  const GemmImage& image;
  const GemmMatrix& matrix;
  uint32_t first_row, taps;

  LT_DEVICE WeightRows(const GemmArguments& a, uint32_t first)
      : image(a.image), matrix(a.matrix), first_row(first), taps(a.image.kernel.value * a.image.kernel.value) {}
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    const uint32_t chunk = threadIdx.x % chunks_of_row;
    const auto [tap, channel] = split_taps(image, k + chunk * chunk_elements<T>);
    const uint32_t length = tap < taps ? chunk_length<T>(channel, matrix.channels) : 0;
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const uint32_t row = pass * rows_of_pass + threadIdx.x / chunks_of_row;
      const bool inside = length != 0 && first_row + row < matrix.rows;
      const uint64_t at = inside ? (uint64_t{first_row + row} * taps + tap) * matrix.channels + channel : 0;
      copy_chunk(tile + row * RowsLayout::stride + chunk * gemm_chunk_bytes, static_cast<const T*>(matrix.data) + at,
                 inside ? length : 0, matrix.copy_bytes);
    }
  }
};

// How the threads share a tile of columns.
template <class T, uint32_t columns>
struct ColumnChunks {
  static constexpr uint32_t bytes = ColumnsLayout<T>::bytes(columns), stride = ColumnsLayout<T>::stride(columns);
  static constexpr uint32_t of_k = columns / chunk_elements<T>;  // chunks of one k
  static constexpr uint32_t k_of_pass = gemm_threads / of_k, passes = step_k<T> / k_of_pass;
  static_assert(passes * k_of_pass == step_k<T>);

  LT_DEVICE static uint32_t first_column() { return threadIdx.x % of_k * chunk_elements<T>; }
  LT_DEVICE static uint32_t first_k() { return threadIdx.x / of_k; }
};

// dx: columns are the weight's in channels, k runs over (tap, out channel).
template <class T, uint32_t columns>
struct WeightColumns : ColumnChunks<T, columns> {
  using Chunks = ColumnChunks<T, columns>;

  const GemmImage& image;
  const GemmMatrix& matrix;
  uint32_t taps, channel, length;

  LT_DEVICE WeightColumns(const GemmArguments& a, uint32_t first)
      : image(a.image),
        matrix(a.matrix),
        taps(a.image.kernel.value * a.image.kernel.value),
        channel(first + Chunks::first_column()),
        length(chunk_length<T>(channel, a.matrix.channels)) {}
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    LT_UNROLL
    for (uint32_t pass = 0; pass < Chunks::passes; ++pass) {
      const uint32_t of_step = pass * Chunks::k_of_pass + Chunks::first_k();
      const auto [tap, out] = split_taps(image, k + of_step);
      const bool inside = length != 0 && tap < taps && out < image.channels;
      const uint64_t at = inside ? (uint64_t{out} * taps + tap) * matrix.channels + channel : 0;
      copy_chunk(tile + of_step * Chunks::stride + Chunks::first_column() * sizeof(T),
                 static_cast<const T*>(matrix.data) + at, inside ? length : 0, matrix.copy_bytes);
    }
  }
};

// weights: columns are dz's channels, k its rows.
template <class T, uint32_t columns>
struct MatrixColumns : ColumnChunks<T, columns> {
  using Chunks = ColumnChunks<T, columns>;

  const GemmMatrix& matrix;
  uint32_t channel, length;

  LT_DEVICE MatrixColumns(const GemmArguments& a, uint32_t first)
      : matrix(a.matrix), channel(first + Chunks::first_column()), length(chunk_length<T>(channel, a.matrix.channels)) {}
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    LT_UNROLL
    for (uint32_t pass = 0; pass < Chunks::passes; ++pass) {
      const uint32_t of_step = pass * Chunks::k_of_pass + Chunks::first_k();
      const bool inside = length != 0 && k + of_step < matrix.rows;
      const uint64_t at = inside ? uint64_t{k + of_step} * matrix.pitch + channel : 0;
      copy_chunk(tile + of_step * Chunks::stride + Chunks::first_column() * sizeof(T),
                 static_cast<const T*>(matrix.data) + at, inside ? length : 0, matrix.copy_bytes);
    }
  }
};

// weights: columns are the image's (tap, channel), k its positions.
template <class T, uint32_t columns>
struct GatheredColumns : ColumnChunks<T, columns> {
  using Chunks = ColumnChunks<T, columns>;

  const GemmImage& image;
  uint32_t rows, channel, length;
  Tap at;

  LT_DEVICE GatheredColumns(const GemmArguments& a, uint32_t first) : image(a.image), rows(a.matrix.rows) {
    const TapChannel split = split_taps(image, first + Chunks::first_column());
    channel = split.channel;
    length = split.tap < image.kernel.value * image.kernel.value ? chunk_length<T>(channel, image.channels) : 0;
    at = kernel_tap(image, split.tap);
  }
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    LT_UNROLL
    for (uint32_t pass = 0; pass < Chunks::passes; ++pass) {
      const uint32_t of_step = pass * Chunks::k_of_pass + Chunks::first_k();
      const T* pixel =
          length != 0 && k + of_step < rows ? image_pixel<T>(image, image_place(image, k + of_step), at, channel) : nullptr;
      copy_chunk(tile + of_step * Chunks::stride + Chunks::first_column() * sizeof(T),
                 pixel != nullptr ? pixel : static_cast<const T*>(image.data), pixel != nullptr ? length : 0,
                 image.copy_bytes);
    }
  }
};

// Which operands a kind has, and whether k is what runs fastest in them.
template <GemmKind kind, class T, uint32_t tile_m, uint32_t tile_n>
struct Operands;
template <class T, uint32_t tile_m, uint32_t tile_n>
struct Operands<GemmKind::forward, T, tile_m, tile_n> {
  using A = GatheredRows<T, tile_m>;
  using B = WeightRows<T, tile_n>;
  static constexpr bool a_rows = true, b_rows = true;
};
template <class T, uint32_t tile_m, uint32_t tile_n>
struct Operands<GemmKind::dx, T, tile_m, tile_n> {
  using A = GatheredRows<T, tile_m>;
  using B = WeightColumns<T, tile_n>;
  static constexpr bool a_rows = true, b_rows = false;
};
template <class T, uint32_t tile_m, uint32_t tile_n>
struct Operands<GemmKind::weights, T, tile_m, tile_n> {
  using A = MatrixColumns<T, tile_m>;
  using B = GatheredColumns<T, tile_n>;
  static constexpr bool a_rows = false, b_rows = false;
};

}  // namespace lt::cuda
