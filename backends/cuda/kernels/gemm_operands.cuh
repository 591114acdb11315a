// The operands of a product, on their way from global to shared memory. An operand is one of
//   rows      [row][k], gemm_step_bytes of k a step, 16 bytes between rows: any 8 rows next to each other are read without
//   two
//             of them meeting in a bank
//   columns   [k][column], with 16 (bf16) or 32 (float) bytes between, for the same reason
// Each thread copies the same chunks of every tile; what depends on rows and columns alone is worked out once. Where
// GemmArguments::known_copy is not 0, a chunk takes a few instructions.
#pragma once

#include "backends/cuda/kernels/bf16.h"
#include "backends/cuda/kernels/gemm_copy.cuh"

namespace lt::cuda {

template <GemmPrecision precision>
using GemmElement = std::conditional_t<precision == GemmPrecision::int8, uint8_t,
                                       std::conditional_t<precision == GemmPrecision::bf16, Bf16, float>>;

template <class T>
inline constexpr uint32_t step_k = gemm_step_bytes / sizeof(T);  // 16 floats, 32 bf16, 64 bytes

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
  const uint32_t row = divide(tap, image.tap_columns);
  return {static_cast<int32_t>(row), static_cast<int32_t>(tap - row * image.tap_columns.value)};
}

// The channel-th element of the pixel at a place and tap; null outside.
template <class T, bool strides_down>
LT_DEVICE const T* image_pixel(const GemmImage& image, ImagePlace place, Tap tap, uint32_t channel) {
  int32_t row = place.row + image.direction * tap.row, column = place.column + image.direction * tap.column;
  if (row < 0 || column < 0) return nullptr;
  if (strides_down && image.stride_down != 1) {
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

// The chunk that begins at an element of the tap that is a row of the kernel at a place; what lies before or behind the
// image's row is zero.
template <class T>
LT_DEVICE Chunk<T> row_chunk(const GemmImage& image, ImagePlace place, Tap tap, uint32_t element, std::byte* to) {
  const int32_t row = place.row + tap.row;
  if (row < 0 || static_cast<uint32_t>(row) >= image.height) return {to, static_cast<const T*>(image.data), 0, 0};
  const auto pitch = static_cast<int32_t>(image.pitch), width = static_cast<int32_t>(image.width) * pitch;
  const int32_t first = place.column * pitch + static_cast<int32_t>(element);  // in the image's row
  const int32_t begin = max(-first, 0);
  const int32_t end = min(static_cast<int32_t>(min(image.channels - element, chunk_elements<T>)), width - first);
  const int64_t at = (int64_t{place.sample} * image.height + row) * width + first;
  return {to, static_cast<const T*>(image.data) + at, static_cast<uint32_t>(begin), static_cast<uint32_t>(max(end, begin))};
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
// The first of a thread's chunks in a tile of rows.
LT_DEVICE uint32_t thread_of_rows() {
  return threadIdx.x / chunks_of_row * RowsLayout::stride + threadIdx.x % chunks_of_row * gemm_chunk_bytes;
}

// forward, dx: rows are positions, k runs over the image's (tap, channel).
template <class T, uint32_t rows, uint32_t known_copy>
struct GatheredRows {
  static constexpr uint32_t bytes = RowsLayout::bytes(rows), passes = rows / rows_of_pass;

  const GemmImage& image;
  const std::byte* pixels[passes];  // of the first tap, wherever that is
  int32_t places[passes];           // row and column, 16 bits each

  LT_DEVICE GatheredRows(const GemmArguments& a, uint32_t first_row) : image(a.image) {
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const uint32_t row = first_row + pass * rows_of_pass + threadIdx.x / chunks_of_row;
      const ImagePlace place = image_place(image, min(row, a.result.m - 1));
      places[pass] = row < a.result.m ? place.row * 65536 + (place.column & 0xffff) : -32768 * 65536;
      const int64_t pixel = (int64_t{place.sample} * image.height + place.row) * image.width + place.column;
      pixels[pass] = static_cast<const std::byte*>(image.data) + pixel * image.pitch * static_cast<int64_t>(sizeof(T));
    }
  }
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    std::byte* const to = tile + thread_of_rows();
    const auto [tap, channel] = split_taps(image, k + threadIdx.x % chunks_of_row * chunk_elements<T>);
    const Tap at = kernel_tap(image, tap);
    const int32_t down = image.direction * at.row, right = image.direction * at.column;
    const int32_t elements = (down * static_cast<int32_t>(image.width) + right) * static_cast<int32_t>(image.pitch) +
                             static_cast<int32_t>(channel);
    const int64_t offset = int64_t{elements} * static_cast<int64_t>(sizeof(T));
    const uint32_t length = tap < image.taps ? chunk_length<T>(channel, image.channels) : 0;
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const int32_t row = (places[pass] >> 16) + down, column = static_cast<int16_t>(places[pass]) + right;
      const bool inside = static_cast<uint32_t>(row) < image.height && static_cast<uint32_t>(column) < image.width;
      copy_known<known_copy, T>(to + pass * rows_of_pass * RowsLayout::stride, pixels[pass] + offset, inside ? length : 0);
    }
  }
};

template <class T, uint32_t rows>
struct GatheredRows<T, rows, 0> {
  static constexpr uint32_t bytes = RowsLayout::bytes(rows), passes = rows / rows_of_pass;

  const GemmImage& image;
  ImagePlace places[passes];

  LT_DEVICE GatheredRows(const GemmArguments& a, uint32_t first_row) : image(a.image) {
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const uint32_t row = first_row + pass * rows_of_pass + threadIdx.x / chunks_of_row;
      places[pass] = row < a.result.m ? image_place(image, row) : ImagePlace{0, no_row, no_row};
    }
  }
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    std::byte* const to = tile + thread_of_rows();
    const auto [tap, channel] = split_taps(image, k + threadIdx.x % chunks_of_row * chunk_elements<T>);
    const Tap at = kernel_tap(image, tap);
    const uint32_t length = tap < image.taps ? chunk_length<T>(channel, image.channels) : 0;
    if (image.row_taps != 0) {
      LT_UNROLL
      for (uint32_t pass = 0; pass < passes; ++pass) {
        const ImagePlace place = length != 0 ? places[pass] : ImagePlace{0, no_row, no_row};
        copy_elements(row_chunk<T>(image, place, at, channel, to + pass * rows_of_pass * RowsLayout::stride));
      }
      return;
    }
    copy_chunks<passes, 0, T>(image.copy, [&](uint32_t pass) {
      const T* pixel = image_pixel<T, true>(image, places[pass], at, channel);
      return Chunk<T>{to + pass * rows_of_pass * RowsLayout::stride,
                      pixel != nullptr ? pixel : static_cast<const T*>(image.data), 0, pixel != nullptr ? length : 0};
    });
  }
};

// forward: rows are the weight's out channels, k runs over its (tap, in channel).
template <class T, uint32_t rows, uint32_t known_copy>
struct WeightRows {
  static constexpr uint32_t bytes = RowsLayout::bytes(rows), passes = rows / rows_of_pass;

  const GemmImage& image;
  const GemmMatrix& matrix;
  const std::byte* weights[passes];
  uint32_t rows_left;

  LT_DEVICE WeightRows(const GemmArguments& a, uint32_t first) : image(a.image), matrix(a.matrix) {
    const uint32_t first_row = first + threadIdx.x / chunks_of_row;
    rows_left = first_row < matrix.rows ? matrix.rows - first_row : 0;
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass) {
      const uint32_t row = min(first_row + pass * rows_of_pass, matrix.rows - 1);
      weights[pass] = static_cast<const std::byte*>(matrix.data) + uint64_t{row} * image.taps * matrix.channels * sizeof(T);
    }
  }
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    std::byte* const to = tile + thread_of_rows();
    const uint32_t index = k + threadIdx.x % chunks_of_row * chunk_elements<T>;
    uint32_t element = index, length = chunk_elements<T>;
    if constexpr (known_copy == gemm_chunk_bytes) {  // taps of whole chunks lie side by side
      if (index >= image.taps * matrix.channels) length = 0;
    } else {
      const auto [tap, channel] = split_taps(image, index);
      element = tap * matrix.channels + channel;
      length = tap < image.taps ? chunk_length<T>(channel, matrix.channels) : 0;
    }
    LT_UNROLL
    for (uint32_t pass = 0; pass < passes; ++pass)
      copy_known<known_copy, T>(to + pass * rows_of_pass * RowsLayout::stride,
                                weights[pass] + uint64_t{element} * sizeof(T),
                                pass * rows_of_pass < rows_left ? length : 0);
  }
};

template <class T, uint32_t rows>
struct WeightRows<T, rows, 0> {
  static constexpr uint32_t bytes = RowsLayout::bytes(rows), passes = rows / rows_of_pass;

  const GemmImage& image;
  const GemmMatrix& matrix;
  uint32_t first_row;

  LT_DEVICE WeightRows(const GemmArguments& a, uint32_t first)
      : image(a.image), matrix(a.matrix), first_row(first + threadIdx.x / chunks_of_row) {}
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    std::byte* const to = tile + thread_of_rows();
    const auto [tap, channel] = split_taps(image, k + threadIdx.x % chunks_of_row * chunk_elements<T>);
    const uint32_t length = tap < image.taps ? chunk_length<T>(channel, matrix.channels) : 0;
    const uint32_t row_elements = image.taps * matrix.channels, of_row = tap * matrix.channels + channel;
    copy_chunks<passes, 0, T>(matrix.copy, [&](uint32_t pass) {
      const uint32_t row = first_row + pass * rows_of_pass;
      const bool inside = length != 0 && row < matrix.rows;
      const uint32_t at = inside ? row * row_elements + of_row : 0;
      return Chunk<T>{to + pass * rows_of_pass * RowsLayout::stride, static_cast<const T*>(matrix.data) + at, 0,
                      inside ? length : 0};
    });
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
  // The first of a thread's chunks.
  LT_DEVICE static std::byte* place(std::byte* tile) { return tile + first_k() * stride + first_column() * sizeof(T); }
};

// dx: columns are the weight's in channels, k runs over (tap, out channel).
template <class T, uint32_t columns, uint32_t known_copy>
struct WeightColumns : ColumnChunks<T, columns> {
  using Chunks = ColumnChunks<T, columns>;

  const GemmImage& image;
  const GemmMatrix& matrix;
  uint32_t channel, length;

  LT_DEVICE WeightColumns(const GemmArguments& a, uint32_t first)
      : image(a.image),
        matrix(a.matrix),
        channel(first + Chunks::first_column()),
        length(chunk_length<T>(channel, a.matrix.channels)) {}
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    std::byte* const to = Chunks::place(tile);
    copy_chunks<Chunks::passes, known_copy, T>(matrix.copy, [&](uint32_t pass) {
      const auto [tap, out] = split_taps(image, k + Chunks::first_k() + pass * Chunks::k_of_pass);
      const bool inside = length != 0 && tap < image.taps && out < image.channels;
      const uint32_t at = inside ? (out * image.taps + tap) * matrix.channels + channel : 0;
      return Chunk<T>{to + pass * Chunks::k_of_pass * Chunks::stride, static_cast<const T*>(matrix.data) + at, 0,
                      inside ? length : 0};
    });
  }
};

// weights: columns are dz's channels, k its rows.
template <class T, uint32_t columns, uint32_t known_copy>
struct MatrixColumns : ColumnChunks<T, columns> {
  using Chunks = ColumnChunks<T, columns>;

  const GemmMatrix& matrix;
  uint32_t channel, length;

  LT_DEVICE MatrixColumns(const GemmArguments& a, uint32_t first)
      : matrix(a.matrix), channel(first + Chunks::first_column()), length(chunk_length<T>(channel, a.matrix.channels)) {}
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    std::byte* const to = Chunks::place(tile);
    copy_chunks<Chunks::passes, known_copy, T>(matrix.copy, [&](uint32_t pass) {
      const uint32_t row = k + Chunks::first_k() + pass * Chunks::k_of_pass;
      const bool inside = length != 0 && row < matrix.rows;
      const uint64_t at = inside ? uint64_t{row} * matrix.pitch + channel : 0;
      return Chunk<T>{to + pass * Chunks::k_of_pass * Chunks::stride, static_cast<const T*>(matrix.data) + at, 0,
                      inside ? length : 0};
    });
  }
};

// weights: columns are the image's (tap, channel), k its positions.
template <class T, uint32_t columns, uint32_t known_copy>
struct GatheredColumns : ColumnChunks<T, columns> {
  using Chunks = ColumnChunks<T, columns>;

  const GemmImage& image;
  uint32_t rows, channel, length;
  Tap at;

  LT_DEVICE GatheredColumns(const GemmArguments& a, uint32_t first) : image(a.image), rows(a.matrix.rows) {
    const TapChannel split = split_taps(image, first + Chunks::first_column());
    channel = split.channel;
    length = split.tap < image.taps ? chunk_length<T>(channel, image.channels) : 0;
    at = kernel_tap(image, split.tap);
  }
  LT_DEVICE void load(std::byte* tile, uint32_t k) const {
    std::byte* const to = Chunks::place(tile);
    if (known_copy == 0 && image.row_taps != 0) {
      LT_UNROLL
      for (uint32_t pass = 0; pass < Chunks::passes; ++pass)
        copy_elements(row_chunk<T>(image, place_of(k, pass), at, channel, to + pass * Chunks::k_of_pass * Chunks::stride));
      return;
    }
    copy_chunks<Chunks::passes, known_copy, T>(image.copy, [&](uint32_t pass) {
      const T* pixel = image_pixel<T, known_copy == 0>(image, place_of(k, pass), at, channel);
      return Chunk<T>{to + pass * Chunks::k_of_pass * Chunks::stride,
                      pixel != nullptr ? pixel : static_cast<const T*>(image.data), 0, pixel != nullptr ? length : 0};
    });
  }

 private:
  LT_DEVICE ImagePlace place_of(uint32_t k, uint32_t pass) const {
    const uint32_t row = k + Chunks::first_k() + pass * Chunks::k_of_pass;
    return length != 0 && row < rows ? image_place(image, row) : ImagePlace{0, no_row, no_row};
  }
};

// Which operands a kind has, and whether k is what runs fastest in them.
template <GemmKind kind, class T, uint32_t tile_m, uint32_t tile_n, uint32_t known_copy>
struct Operands {
  using A = GatheredRows<T, tile_m, known_copy>;
  using B = std::conditional_t<kind == GemmKind::forward, WeightRows<T, tile_n, known_copy>,
                               WeightColumns<T, tile_n, known_copy>>;
  static constexpr bool a_rows = true, b_rows = kind == GemmKind::forward;
};
template <class T, uint32_t tile_m, uint32_t tile_n, uint32_t known_copy>
struct Operands<GemmKind::weights, T, tile_m, tile_n, known_copy> {
  using A = MatrixColumns<T, tile_m, known_copy>;
  using B = GatheredColumns<T, tile_n, known_copy>;
  static constexpr bool a_rows = false, b_rows = false;
};

}  // namespace lt::cuda
