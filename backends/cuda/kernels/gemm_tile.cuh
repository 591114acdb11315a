// The sums of one tile, in the registers of a block's gemm_threads threads: by fused multiply-adds of floats (FmaTile), or
// by the tensor cores (MmaTile). `step` adds one step's products, `deposit` leaves the sums in shared memory,
// [row][column].
#pragma once

#include "backends/cuda/kernels/gemm_mma.cuh"

namespace lt::cuda {

template <uint32_t tile_n>
inline constexpr uint32_t sums_stride = tile_n + 4;  // sums between the rows that `deposit` leaves

// 16 x 8 threads. A thread's rows (columns) lie 16 (8) apart where k runs fastest in shared memory, and in fours else:
// either way it reads 16 bytes at a time, and the threads of a warp different banks.
template <uint32_t tile_m, uint32_t tile_n, bool a_rows, bool b_rows>
struct FmaTile {
  using Sum = float;
  static constexpr uint32_t thread_rows = 16, thread_columns = 8;
  static constexpr uint32_t rows = tile_m / thread_rows, columns = tile_n / thread_columns;
  static_assert(thread_rows * thread_columns == gemm_threads && rows % 4 == 0 && columns % 4 == 0);

  float sums[rows][columns] = {};

  LT_DEVICE static uint32_t row_of(uint32_t i) {
    const uint32_t thread = threadIdx.x / thread_columns;
    return a_rows ? thread + thread_rows * i : i / 4 * (4 * thread_rows) + thread * 4 + i % 4;
  }
  LT_DEVICE static uint32_t column_of(uint32_t j) {
    const uint32_t thread = threadIdx.x % thread_columns;
    return b_rows ? thread + thread_columns * j : j / 4 * (4 * thread_columns) + thread * 4 + j % 4;
  }

  LT_DEVICE void step(const std::byte* a, const std::byte* b) {
    LT_UNROLL
    for (uint32_t k = 0; k < step_k<float>; k += 4) {
      float a_values[rows][4], b_values[columns][4];
      if constexpr (a_rows) {
        LT_UNROLL
        for (uint32_t i = 0; i < rows; ++i) read(a + row_of(i) * RowsLayout::stride + k * sizeof(float), a_values[i]);
      } else {
        LT_UNROLL
        for (uint32_t i = 0; i < rows; i += 4) read_turned<tile_m>(a, k, row_of(i), &a_values[i]);
      }
      if constexpr (b_rows) {
        LT_UNROLL
        for (uint32_t j = 0; j < columns; ++j) read(b + column_of(j) * RowsLayout::stride + k * sizeof(float), b_values[j]);
      } else {
        LT_UNROLL
        for (uint32_t j = 0; j < columns; j += 4) read_turned<tile_n>(b, k, column_of(j), &b_values[j]);
      }
      LT_UNROLL
      for (uint32_t of_four = 0; of_four < 4; ++of_four) {
        LT_UNROLL
        for (uint32_t i = 0; i < rows; ++i) {
          LT_UNROLL
          for (uint32_t j = 0; j < columns; ++j)
            sums[i][j] = __fmaf_rn(a_values[i][of_four], b_values[j][of_four], sums[i][j]);
        }
      }
    }
  }

  LT_DEVICE void deposit(float* to) const {
    LT_UNROLL
    for (uint32_t i = 0; i < rows; ++i) {
      LT_UNROLL
      for (uint32_t j = 0; j < columns; ++j) to[row_of(i) * sums_stride<tile_n> + column_of(j)] = sums[i][j];
    }
  }

 private:
  LT_DEVICE static void read(const std::byte* from, float (&values)[4]) {
    const float4 four = *reinterpret_cast<const float4*>(from);
    values[0] = four.x;
    values[1] = four.y;
    values[2] = four.z;
    values[3] = four.w;
  }
  // Four k of four columns next to each other.
  template <uint32_t tile_columns>
  LT_DEVICE static void read_turned(const std::byte* from, uint32_t k, uint32_t column, float (*values)[4]) {
    LT_UNROLL
    for (uint32_t of_four = 0; of_four < 4; ++of_four) {
      float four[4];
      read(from + (k + of_four) * ColumnsLayout<float>::stride(tile_columns) + column * sizeof(float), four);
      LT_UNROLL
      for (uint32_t i = 0; i < 4; ++i) values[i][of_four] = four[i];
    }
  }
};

// 2 x 2 warps. `a_rows`, `b_rows`: k runs fastest in shared memory.
template <GemmPrecision precision, uint32_t tile_m, uint32_t tile_n, bool a_rows, bool b_rows>
struct MmaTile {
  using T = GemmElement<precision>;
  using Sum = std::conditional_t<precision == GemmPrecision::int8, int32_t, float>;
  static constexpr uint32_t warp_m = tile_m / 2, warp_n = tile_n / 2;
  static constexpr uint32_t m_count = warp_m / 16, n_count = warp_n / 8;
  static constexpr uint32_t mma_bytes = 32, mma_k = mma_bytes / sizeof(T);  // of k that one mma takes
  static_assert(m_count * 16 == warp_m && n_count * 8 == warp_n && n_count % 2 == 0);

  Sum sums[m_count][n_count][4] = {};

  LT_DEVICE static uint32_t lane() { return threadIdx.x % 32; }
  LT_DEVICE static uint32_t first_row() { return threadIdx.x / 32 % 2 * warp_m; }
  LT_DEVICE static uint32_t first_column() { return threadIdx.x / 64 * warp_n; }

  LT_DEVICE void step(const std::byte* a, const std::byte* b) {
    LT_UNROLL
    for (uint32_t part = 0; part < gemm_step_bytes / mma_bytes; ++part) {
      uint32_t a_words[m_count][4], b_words[n_count][2];
      LT_UNROLL
      for (uint32_t i = 0; i < m_count; ++i) load_a(a, part, first_row() + i * 16, a_words[i]);
      LT_UNROLL
      for (uint32_t j = 0; j < n_count; j += 2) load_b(b, part, first_column() + j * 8, b_words[j], b_words[j + 1]);
      LT_UNROLL
      for (uint32_t i = 0; i < m_count; ++i) {
        LT_UNROLL
        for (uint32_t j = 0; j < n_count; ++j) {
          if constexpr (precision == GemmPrecision::bf16)
            mma_bf16(sums[i][j], a_words[i], b_words[j]);
          else if constexpr (precision == GemmPrecision::int8)
            mma_int8(sums[i][j], a_words[i], b_words[j]);
          else
            mma_tf32(sums[i][j], a_words[i], b_words[j]);
        }
      }
    }
  }

  LT_DEVICE void deposit(Sum* to) const {
    using Pair = std::conditional_t<precision == GemmPrecision::int8, int2, float2>;
    LT_UNROLL
    for (uint32_t i = 0; i < m_count; ++i) {
      LT_UNROLL
      for (uint32_t j = 0; j < n_count; ++j) {
        LT_UNROLL
        for (uint32_t half = 0; half < 2; ++half) {
          const uint32_t row = first_row() + i * 16 + half * 8 + lane() / 4;
          const uint32_t column = first_column() + j * 8 + lane() % 4 * 2;
          *reinterpret_cast<Pair*>(to + row * sums_stride<tile_n> + column) = {sums[i][j][2 * half],
                                                                               sums[i][j][2 * half + 1]};
        }
      }
    }
  }

 private:
  // 16 rows.
  LT_DEVICE static void load_a(const std::byte* a, uint32_t part, uint32_t row, uint32_t (&words)[4]) {
    const uint32_t matrix = lane() / 8;
    if constexpr (a_rows) {
      load_matrices(words,
                    a + (row + matrix % 2 * 8 + lane() % 8) * RowsLayout::stride + part * mma_bytes + matrix / 2 * 16);
    } else if constexpr (precision == GemmPrecision::bf16) {
      const uint32_t k = part * mma_k + matrix / 2 * 8 + lane() % 8;
      load_matrices_turned(words, a + k * ColumnsLayout<T>::stride(tile_m) + (row + matrix % 2 * 8) * sizeof(T));
    } else {
      LT_UNROLL
      for (uint32_t i = 0; i < 4; ++i) words[i] = word<tile_m>(a, part * mma_k + i / 2 * 4, row + i % 2 * 8);
    }
    round(words);
  }
  // Twice 8 columns.
  LT_DEVICE static void load_b(const std::byte* b, uint32_t part, uint32_t column, uint32_t (&first)[2],
                               uint32_t (&second)[2]) {
    const uint32_t matrix = lane() / 8;
    uint32_t words[4];
    if constexpr (b_rows) {
      load_matrices(words,
                    b + (column + matrix / 2 * 8 + lane() % 8) * RowsLayout::stride + part * mma_bytes + matrix % 2 * 16);
    } else if constexpr (precision == GemmPrecision::bf16) {
      const uint32_t k = part * mma_k + matrix % 2 * 8 + lane() % 8;
      load_matrices_turned(words, b + k * ColumnsLayout<T>::stride(tile_n) + (column + matrix / 2 * 8) * sizeof(T));
    } else {
      LT_UNROLL
      for (uint32_t i = 0; i < 4; ++i) words[i] = word<tile_n>(b, part * mma_k + i % 2 * 4, column + i / 2 * 8);
    }
    round(words);
    first[0] = words[0];
    first[1] = words[1];
    second[0] = words[2];
    second[1] = words[3];
  }
  // A float of columns: the lane's own place in an 8 x 4 block.
  template <uint32_t tile_columns>
  LT_DEVICE static uint32_t word(const std::byte* from, uint32_t k, uint32_t column) {
    return *reinterpret_cast<const uint32_t*>(from + (k + lane() % 4) * ColumnsLayout<T>::stride(tile_columns) +
                                              (column + lane() / 4) * sizeof(T));
  }
  LT_DEVICE static void round(uint32_t (&words)[4]) {
    if constexpr (precision == GemmPrecision::tf32) {
      LT_UNROLL
      for (uint32_t i = 0; i < 4; ++i) words[i] = round_to_tf32(words[i]);
    }
  }
};

}  // namespace lt::cuda
