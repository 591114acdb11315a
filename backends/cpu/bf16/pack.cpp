// Packing in AVX-512. Two rows of k become one row of pairs by a permutation; from the transpose, pairs lie side by side
// already, and blocks of 16 x 16 pairs are transposed in registers.
#include "backends/cpu/bf16/pack.h"

#include <algorithm>

#include "backends/cpu/bf16/lanes.h"

#if defined(__x86_64__)
LT_BEGIN_AVX512_BF16

namespace lt::cpu::bf16 {
namespace {

// [even 0, odd 0, even 1, odd 1 ...] of the first 16 columns, or of the last.
inline __m512i interleave_low(__m512i even, __m512i odd) {
  alignas(64) static constexpr uint16_t order[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                                     8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  return _mm512_permutex2var_epi16(even, _mm512_load_si512(order), odd);
}
inline __m512i interleave_high(__m512i even, __m512i odd) {
  alignas(64) static constexpr uint16_t order[32] = {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
                                                     24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63};
  return _mm512_permutex2var_epi16(even, _mm512_load_si512(order), odd);
}

}  // namespace

void pack_rows(const Matrix& from, uint64_t block_step, uint16_t* to) {
  const uint32_t pairs = chunks_of(from.rows) * (block_depth / 2);
  for (uint32_t pair = 0; pair < pairs; ++pair) {
    const uint32_t row = 2 * pair;
    const uint16_t *even = from.first + row * from.row, *odd = even + from.row;
    uint16_t* out = to + uint64_t{pair} * 2 * block_columns;
    for (uint32_t column = 0; column < from.columns; column += 2 * block_columns, out += 2 * block_step) {
      const __mmask32 lanes = first_halves(from.columns - column);
      const __m512i first = _mm512_maskz_loadu_epi16(row < from.rows ? lanes : 0, even + column);
      const __m512i second = _mm512_maskz_loadu_epi16(row + 1 < from.rows ? lanes : 0, odd + column);
      _mm512_storeu_si512(out, interleave_low(first, second));
      if (column + block_columns < from.columns) _mm512_storeu_si512(out + block_step, interleave_high(first, second));
    }
  }
}

void pack_columns(const Matrix& from, uint64_t block_step, uint16_t* to) {
  const uint32_t chunks = chunks_of(from.columns);
  for (uint32_t row = 0; row < from.rows; row += block_columns, to += block_step) {
    const uint32_t rows = std::min(block_columns, from.rows - row);
    for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
      const __mmask32 lanes = first_halves(from.columns - chunk * block_depth);
      const uint16_t* at = from.first + row * from.row + uint64_t{chunk} * block_depth;
      __m512i block[16];
      for (uint32_t i = 0; i < 16; ++i) block[i] = _mm512_maskz_loadu_epi16(i < rows ? lanes : 0, at + i * from.row);
      transpose_words(block);
      uint16_t* const out = to + uint64_t{chunk} * block_elements;
      for (uint32_t i = 0; i < 16; ++i) _mm512_storeu_si512(out + i * 2 * block_columns, block[i]);
    }
  }
}

void transpose(const Matrix& from, uint64_t to_row, uint16_t* to) {
  transpose(from, to_row, chunks_of(from.rows) * block_depth, to);
}

void transpose(const Matrix& from, uint64_t to_row, uint32_t kept, uint16_t* to) {
  for (uint32_t row = 0; row < std::min(from.rows, kept); row += block_depth) {
    const __mmask32 keep = first_halves(kept - row);
    const uint32_t rows = std::min(block_depth, from.rows - row);
    for (uint32_t column = 0; column < from.columns; column += 2 * block_columns) {
      const __mmask32 lanes = first_halves(from.columns - column);
      __m512i low[16], high[16];
      for (uint32_t pair = 0; pair < 16; ++pair) {
        const uint16_t* at = from.first + (row + uint64_t{2} * pair) * from.row + column;
        const __m512i even = _mm512_maskz_loadu_epi16(2 * pair < rows ? lanes : 0, at);
        const __m512i odd = _mm512_maskz_loadu_epi16(2 * pair + 1 < rows ? lanes : 0, at + from.row);
        low[pair] = interleave_low(even, odd);
        high[pair] = interleave_high(even, odd);
      }
      transpose_words(low);
      uint16_t* out = to + column * to_row + row;
      for (uint32_t i = 0; i < std::min(16u, from.columns - column); ++i, out += to_row)
        _mm512_mask_storeu_epi16(out, keep, low[i]);
      if (column + 16 >= from.columns) break;
      transpose_words(high);
      for (uint32_t i = 0; i < std::min(16u, from.columns - column - 16); ++i, out += to_row)
        _mm512_mask_storeu_epi16(out, keep, high[i]);
    }
  }
}

void pad_rows(const Matrix& from, uint16_t* to) {
  const uint32_t whole = from.columns & ~(block_depth - 1);
  const __mmask32 rest = first_halves(from.columns - whole);
  for (uint32_t row = 0; row < from.rows; ++row, to += chunks_of(from.columns) * block_depth) {
    const uint16_t* at = from.first + row * from.row;
    for (uint32_t column = 0; column < whole; column += block_depth)
      _mm512_storeu_si512(to + column, _mm512_loadu_si512(at + column));
    if (rest != 0) _mm512_storeu_si512(to + whole, _mm512_maskz_loadu_epi16(rest, at + whole));
  }
}

}  // namespace lt::cpu::bf16

LT_END_TARGET

#else
// Never called: no such processor has a unit.
namespace lt::cpu::bf16 {
void pack_rows(const Matrix&, uint64_t, uint16_t*) {}
void pack_columns(const Matrix&, uint64_t, uint16_t*) {}
void transpose(const Matrix&, uint64_t, uint16_t*) {}
void transpose(const Matrix&, uint64_t, uint32_t, uint16_t*) {}
void pad_rows(const Matrix&, uint16_t*) {}
}  // namespace lt::cpu::bf16
#endif
