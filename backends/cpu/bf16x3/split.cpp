// Floats into thirds, in AVX-512: the float rounded to bfloat16, what that leaves, rounded, and what that leaves. A float's
// 24 bits are three times 8, so the third is exact but for denormal numbers. See product.h.
#include <algorithm>

#include "backends/cpu/bf16/lanes.h"
#include "backends/cpu/bf16x3/product_amx.h"

#if defined(__x86_64__)
LT_BEGIN_AVX512_BF16

namespace lt::cpu::bf16x3 {
namespace {

using bf16::first_floats;
using bf16::rounded;
using bf16::transpose_words;
using bf16::widened;

constexpr uint32_t half_chunk = chunk_depth / 2;

// 32 neighbours.
struct Thirds {
  __m512i third[thirds];
};
inline Thirds thirds_of(__m512 low, __m512 high) {
  Thirds result;
#pragma GCC unroll 3
  for (uint32_t i = 0; i < thirds; ++i) {
    const __m512bh halves = _mm512_cvtne2ps_pbh(high, low);
    std::memcpy(&result.third[i], &halves, sizeof halves);
    if (i + 1 == thirds) break;
    low = _mm512_sub_ps(low, widened(_mm512_castsi512_si256(result.third[i])));
    high = _mm512_sub_ps(high, widened(_mm512_extracti64x4_epi64(result.third[i], 1)));
  }
  return result;
}

inline void store(const Thirds& from, uint16_t* to) {
#pragma GCC unroll 3
  for (uint32_t i = 0; i < thirds; ++i) _mm512_store_si512(to + i * tile_elements, from.third[i]);
}

// Where a tile of A, or a block of B, begins.
inline uint16_t* tile_of(const Split& split, uint32_t tile, uint32_t chunk) {
  return split.first + (uint64_t{tile} * split.chunks + chunk) * thirds * tile_elements;
}

// Pairs of rows of k, 16 columns.
inline void split_pair(__m512 even, __m512 odd, uint16_t* to) {
#pragma GCC unroll 3
  for (uint32_t i = 0; i < thirds; ++i) {
    const __m256i even_third = rounded(even), odd_third = rounded(odd);
    const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd_third), 16);
    _mm512_store_si512(to + i * tile_elements, _mm512_or_si512(_mm512_cvtepu16_epi32(even_third), high));
    even = _mm512_sub_ps(even, widened(even_third));
    odd = _mm512_sub_ps(odd, _mm512_castsi512_ps(high));
  }
}

// Half a chunk of 16 columns of a matrix that lies with k outside, turned round; rows before `begin` or from `end` on are
// zeros.
inline void load_turned(const float* from, uint64_t stride, int64_t begin, int64_t end, __mmask16 lanes, __m512i* to) {
#pragma GCC unroll 16
  for (int64_t k = 0; k < half_chunk; ++k)
    to[k] = _mm512_castps_si512(
        _mm512_maskz_loadu_ps(k >= begin && k < end ? lanes : __mmask16{0}, from + k * static_cast<int64_t>(stride)));
  transpose_words(to);
}

// What lies behind the first `count`.
constexpr uint32_t behind(uint32_t size, uint32_t count) { return size > count ? size - count : 0; }

void split_columns(const float* b, uint64_t stride, uint32_t columns, uint32_t depth, const Split& to) {
  for (uint32_t k = 0; k < to.chunks * chunk_depth; k += 2) {
    const uint32_t left = behind(depth, k);
    const float *even = b + k * stride, *odd = even + stride;
    for (uint32_t column = 0; column < columns; column += block_columns) {
      const __mmask16 lanes = first_floats(columns - column);
      split_pair(_mm512_maskz_loadu_ps(left > 0 ? lanes : __mmask16{0}, even + column),
                 _mm512_maskz_loadu_ps(left > 1 ? lanes : __mmask16{0}, odd + column),
                 tile_of(to, column / block_columns, k / chunk_depth) + k % chunk_depth * block_columns);
    }
  }
}

}  // namespace

void split_rows(const float* a, uint64_t stride, uint32_t rows, uint32_t depth, const Split& to) {
  for (uint32_t row = 0; row < rows; ++row, a += stride) {
    uint16_t* at = tile_of(to, row / tile_rows, 0) + row % tile_rows * chunk_depth;
    for (uint32_t k = 0; k < to.chunks * chunk_depth; k += chunk_depth, at += thirds * tile_elements) {
      const uint32_t left = behind(depth, k);
      store(thirds_of(_mm512_maskz_loadu_ps(first_floats(left), a + k),
                      _mm512_maskz_loadu_ps(first_floats(behind(left, half_chunk)), a + k + half_chunk)),
            at);
    }
  }
}

void split_weights(const float* b, uint64_t stride, bool transposed, uint32_t columns, uint32_t depth, uint16_t* first) {
  const Split to{first, chunks_of(depth)};
  if (!transposed) return split_columns(b, stride, columns, depth, to);
  // Half a chunk of 16 columns, turned round.
  for (uint32_t column = 0; column < columns; column += block_columns)
    for (uint32_t k = 0; k < to.chunks * chunk_depth; k += half_chunk) {
      const __mmask16 lanes = first_floats(behind(depth, k));
      __m512i words[block_columns];
      for (uint32_t i = 0; i < block_columns; ++i)
        words[i] = _mm512_castps_si512(
            _mm512_maskz_loadu_ps(column + i < columns ? lanes : __mmask16{0}, b + (column + i) * stride + k));
      transpose_words(words);
      uint16_t* const at = tile_of(to, column / block_columns, k / chunk_depth) + k % chunk_depth * block_columns;
      for (uint32_t i = 0; i < half_chunk; i += 2)
        split_pair(_mm512_castsi512_ps(words[i]), _mm512_castsi512_ps(words[i + 1]), at + i * block_columns);
    }
}

void split_turned(const float* a, uint64_t stride, uint32_t rows, int64_t begin, int64_t end, const Split& to) {
  for (uint32_t row = 0; row < rows; row += tile_rows) {
    const __mmask16 lanes = first_floats(rows - row);
    for (uint32_t chunk = 0; chunk < to.chunks; ++chunk) {
      const int64_t k = int64_t{chunk} * chunk_depth, middle = k + half_chunk;
      const float* const from = a + (k - begin) * static_cast<int64_t>(stride) + row;
      __m512i low[tile_rows], high[tile_rows];
      load_turned(from, stride, begin - k, end - k, lanes, low);
      load_turned(from + half_chunk * stride, stride, begin - middle, end - middle, lanes, high);
      uint16_t* const at = tile_of(to, row / tile_rows, chunk);
      for (uint32_t i = 0; i < tile_rows; ++i)
        store(thirds_of(_mm512_castsi512_ps(low[i]), _mm512_castsi512_ps(high[i])), at + i * chunk_depth);
    }
  }
}

}  // namespace lt::cpu::bf16x3

LT_END_TARGET

#else
// Never called: no such processor has AMX.
namespace lt::cpu::bf16x3 {
void split_rows(const float*, uint64_t, uint32_t, uint32_t, const Split&) {}
void split_weights(const float*, uint64_t, bool, uint32_t, uint32_t, uint16_t*) {}
void split_turned(const float*, uint64_t, uint32_t, int64_t, int64_t, const Split&) {}
}  // namespace lt::cpu::bf16x3
#endif
