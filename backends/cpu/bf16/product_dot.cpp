// VDPBF16PS: see ../tile_product_dot_inl.h. Up to 12 rows of A times one or two blocks of B.
#include "backends/cpu/bf16/product_unit.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>
#include <utility>

LT_BEGIN_AVX512_BF16

#include "backends/cpu/tile_product_dot_inl.h"

namespace lt::cpu::bf16 {
namespace {

struct Dot {
  using Sums = __m512;
  using Numbers = __m512bh;
  static inline Sums zero() { return _mm512_setzero_ps(); }
  static inline Sums load_sums(const float* from) { return _mm512_loadu_ps(from); }
  static inline void store_sums(float* to, Sums sums) { _mm512_storeu_ps(to, sums); }
  static inline Numbers numbers(__m512i bits) {
    Numbers pairs;
    std::memcpy(&pairs, &bits, sizeof pairs);
    return pairs;
  }
  static inline Sums multiply_add(Sums sums, Numbers left, Numbers right) { return _mm512_dpbf16_ps(sums, left, right); }
};

}  // namespace

void dot_product(const Product& product, uint32_t rows) {
  auto* const inner = dot_inner<Dot, dot_rows_most>(product, rows);
  for (uint32_t tile = 0; tile < product.tiles; ++tile) inner(product, product.a[tile], product.c[tile]);
}

}  // namespace lt::cpu::bf16

LT_END_TARGET

#else
namespace lt::cpu::bf16 {
void dot_product(const Product&, uint32_t) {}  // never called: no such processor has the unit
}  // namespace lt::cpu::bf16
#endif
