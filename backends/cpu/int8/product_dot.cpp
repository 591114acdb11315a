// VPDPBUSD: 8 rows of A times two blocks of columns are 16 sums; four neighbours of a row are broadcast from memory. The
// form without saturation: sums are exact. Source: Intel, Software Developer's Manual, volume 2, VPDPBUSD.
#include "backends/cpu/int8/product.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/cpu/bf16/unit.h"

#define LT_BEGIN_AVX512_VNNI \
  LT_NO_FALSE_ALARM          \
  HWY_PUSH_ATTRIBUTES("avx,avx2,fma,f16c,bmi,bmi2,avx512f,avx512vl,avx512dq,avx512bw,avx512cd,avx512vnni")

LT_BEGIN_AVX512_VNNI

namespace lt::cpu::int8 {
namespace {

constexpr uint32_t rows_at_once = 8;

template <uint32_t Rows, uint32_t Columns>
void product_of(const Product& p, const uint8_t* a, int32_t* c) {
  __m512i sums[Rows][Columns];
#pragma GCC unroll 8
  for (uint32_t row = 0; row < Rows; ++row)
#pragma GCC unroll 2
    for (uint32_t column = 0; column < Columns; ++column)
      sums[row][column] =
          p.accumulate ? _mm512_loadu_si512(c + row * p.c_row + column * block_columns) : _mm512_setzero_si512();
  for (uint32_t segment = 0; segment < p.segments; ++segment) {
    const uint8_t* from = a + segment * p.a_segment;
    const int8_t* b = p.b + segment * p.b_segment;
    for (uint32_t four = 0; four < p.chunks * (block_depth / 4); ++four, from += 4, b += 4 * block_columns) {
      __m512i right[Columns];
#pragma GCC unroll 2
      for (uint32_t column = 0; column < Columns; ++column) right[column] = _mm512_loadu_si512(b + column * p.b_columns);
#pragma GCC unroll 8
      for (uint32_t row = 0; row < Rows; ++row) {
        int32_t numbers;
        std::memcpy(&numbers, from + row * p.a_row, sizeof numbers);
        const __m512i left = _mm512_set1_epi32(numbers);
#pragma GCC unroll 2
        for (uint32_t column = 0; column < Columns; ++column)
          sums[row][column] = _mm512_dpbusd_epi32(sums[row][column], left, right[column]);
      }
    }
  }
#pragma GCC unroll 8
  for (uint32_t row = 0; row < Rows; ++row)
#pragma GCC unroll 2
    for (uint32_t column = 0; column < Columns; ++column)
      _mm512_storeu_si512(c + row * p.c_row + column * block_columns, sums[row][column]);
}

using Inner = void(const Product&, const uint8_t*, int32_t*);

template <uint32_t Columns, uint32_t... Rows>
inline Inner* inner_of(uint32_t rows, std::integer_sequence<uint32_t, Rows...>) {
  static constexpr Inner* table[] = {product_of<Rows + 1, Columns>...};
  return table[rows - 1];
}

}  // namespace

void dot_product(const Product& product, uint32_t rows) {
  constexpr auto all_rows = std::make_integer_sequence<uint32_t, rows_at_once>();
  for (uint32_t tile = 0; tile < product.tiles; ++tile)
    for (uint32_t row = 0; row < rows; row += rows_at_once) {
      const uint32_t n = rows - row < rows_at_once ? rows - row : rows_at_once;
      Inner* const inner = product.columns == 2 ? inner_of<2>(n, all_rows) : inner_of<1>(n, all_rows);
      inner(product, product.a[tile] + row * product.a_row, product.c[tile] + row * product.c_row);
    }
}

}  // namespace lt::cpu::int8

LT_END_TARGET

#else
namespace lt::cpu::int8 {
void dot_product(const Product&, uint32_t) {}  // never called: no such processor has the unit
}  // namespace lt::cpu::int8
#endif
