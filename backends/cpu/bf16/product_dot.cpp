// Up to 12 rows of A times one or two blocks of B in registers: for each pair of k one vector a block is loaded, and a pair
// of each row is broadcast from memory.
#include "backends/cpu/bf16/product_unit.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

LT_BEGIN_AVX512_BF16

namespace lt::cpu::bf16 {
namespace {

inline __m512bh load_pairs(const uint16_t* from) {
  const __m512i bits = _mm512_loadu_si512(from);
  __m512bh pairs;
  std::memcpy(&pairs, &bits, sizeof pairs);
  return pairs;
}

inline __m512bh broadcast_pair(const uint16_t* from) {
  int32_t pair;
  std::memcpy(&pair, from, sizeof pair);
  const __m512i bits = _mm512_set1_epi32(pair);
  __m512bh pairs;
  std::memcpy(&pairs, &bits, sizeof pairs);
  return pairs;
}

template <uint32_t Rows, uint32_t Columns>
void product_of(const Product& p, const uint16_t* a, float* c) {
  __m512 sums[Rows][Columns];
#pragma GCC unroll 12
  for (uint32_t row = 0; row < Rows; ++row)
#pragma GCC unroll 2
    for (uint32_t column = 0; column < Columns; ++column)
      sums[row][column] = p.accumulate ? _mm512_loadu_ps(c + row * p.c_row + column * block_columns) : _mm512_setzero_ps();
  const uint64_t a_row = p.a_row;
  for (uint32_t segment = 0; segment < p.segments; ++segment) {
    const uint16_t *from = a + segment * p.a_segment, *b = p.b + segment * p.b_segment;
    for (uint32_t pair = 0; pair < p.chunks * (block_depth / 2); ++pair, from += 2, b += 2 * block_columns) {
      __m512bh right[Columns];
#pragma GCC unroll 2
      for (uint32_t column = 0; column < Columns; ++column) right[column] = load_pairs(b + column * p.b_columns);
#pragma GCC unroll 12
      for (uint32_t row = 0; row < Rows; ++row) {
        const __m512bh left = broadcast_pair(from + row * a_row);
#pragma GCC unroll 2
        for (uint32_t column = 0; column < Columns; ++column)
          sums[row][column] = _mm512_dpbf16_ps(sums[row][column], left, right[column]);
      }
    }
  }
#pragma GCC unroll 12
  for (uint32_t row = 0; row < Rows; ++row)
#pragma GCC unroll 2
    for (uint32_t column = 0; column < Columns; ++column)
      _mm512_storeu_ps(c + row * p.c_row + column * block_columns, sums[row][column]);
}

using Inner = void(const Product&, const uint16_t*, float*);

template <uint32_t Columns, uint32_t... Rows>
inline Inner* inner_of(uint32_t rows, std::integer_sequence<uint32_t, Rows...>) {
  static constexpr Inner* table[] = {product_of<Rows + 1, Columns>...};
  return table[rows - 1];
}

}  // namespace

void dot_product(const Product& product, uint32_t rows) {
  constexpr auto all_rows = std::make_integer_sequence<uint32_t, dot_rows_most>();
  Inner* const inner = product.columns == 2 ? inner_of<2>(rows, all_rows) : inner_of<1>(rows, all_rows);
  for (uint32_t tile = 0; tile < product.tiles; ++tile) inner(product, product.a[tile], product.c[tile]);
}

}  // namespace lt::cpu::bf16

LT_END_TARGET

#else
namespace lt::cpu::bf16 {
void dot_product(const Product&, uint32_t) {}  // never called: no such processor has the unit
}  // namespace lt::cpu::bf16
#endif
