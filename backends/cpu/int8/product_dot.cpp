// VPDPBUSD: see ../tile_product_dot_inl.h. 8 rows of A times two blocks of columns are 16 sums. The form without
// saturation: sums are exact. Source: Intel, Software Developer's Manual, volume 2, VPDPBUSD.
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

#include "backends/cpu/tile_product_dot_inl.h"

namespace lt::cpu::int8 {
namespace {

constexpr uint32_t rows_at_once = 8;

struct Dot {
  using Sums = __m512i;
  using Numbers = __m512i;
  static inline Sums zero() { return _mm512_setzero_si512(); }
  static inline Sums load_sums(const int32_t* from) { return _mm512_loadu_si512(from); }
  static inline void store_sums(int32_t* to, Sums sums) { _mm512_storeu_si512(to, sums); }
  static inline Numbers numbers(__m512i bits) { return bits; }
  static inline Sums multiply_add(Sums sums, Numbers left, Numbers right) { return _mm512_dpbusd_epi32(sums, left, right); }
};

}  // namespace

void dot_product(const Product& product, uint32_t rows) {
  for (uint32_t tile = 0; tile < product.tiles; ++tile)
    for (uint32_t row = 0; row < rows; row += rows_at_once) {
      const uint32_t n = rows - row < rows_at_once ? rows - row : rows_at_once;
      auto* const inner = dot_inner<Dot, rows_at_once>(product, n);
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
