// Products of bytes where no instruction has them: widened to 16 bits, two neighbours in k times two of B and added in 32
// (PMADDWD and its like). PMADDUBSW, which would take bytes, saturates a pair's sum at 16 bits: 2 * 255 * 127 are more.
#include "backends/cpu/int8/product.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/int8/product_portable.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::int8 {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
void Multiply(const Product& p, uint32_t rows) {
  for (uint32_t tile = 0; tile < p.tiles; ++tile)
    for (uint32_t row = 0; row < rows; ++row)
      for (uint32_t column = 0; column < p.columns * block_columns; ++column) {
        int32_t* const c = p.c[tile] + row * p.c_row + column;
        int32_t sum = p.accumulate ? *c : 0;
        for (uint32_t segment = 0; segment < p.segments; ++segment) {
          const uint8_t* const a = p.a[tile] + row * p.a_row + segment * p.a_segment;
          const int8_t* const b =
              p.b + segment * p.b_segment + column / block_columns * p.b_columns + column % block_columns * 2;
          for (uint32_t k = 0; k < p.chunks * block_depth; ++k) sum += a[k] * b[k / 2 * 2 * block_columns + k % 2];
        }
        *c = sum;
      }
}
#else
// Of one row and one block: vectors of 32-bit sums, a column a lane, at most 16 of them.
using D32 = hn::CappedTag<int32_t, block_columns>;
using D16 = hn::Repartition<int16_t, D32>;
using D8 = hn::Rebind<int8_t, D16>;

template <uint32_t Rows>
HWY_INLINE void multiply_vector(const Product& p, const uint8_t* a, const int8_t* b, int32_t* c) {
  const D32 d32;
  const D16 d16;
  const D8 d8;
  // A second sum a row for processors whose products of a vector's halves come apart.
  hn::Vec<D32> sums[Rows], others[Rows];
  for (uint32_t row = 0; row < Rows; ++row) sums[row] = others[row] = hn::Zero(d32);
  for (uint32_t segment = 0; segment < p.segments; ++segment) {
    const uint8_t* from = a + segment * p.a_segment;
    const int8_t* weights = b + segment * p.b_segment;
    for (uint32_t pair = 0; pair < p.chunks * (block_depth / 2); ++pair, from += 2, weights += 2 * block_columns) {
      const auto right = hn::PromoteTo(d16, hn::LoadU(d8, weights));
      for (uint32_t row = 0; row < Rows; ++row) {
        const uint8_t* const at = from + row * p.a_row;
        const auto left = hn::BitCast(d16, hn::Set(d32, at[0] | at[1] << 16));
        sums[row] = hn::ReorderWidenMulAccumulate(d32, left, right, sums[row], others[row]);
      }
    }
  }
  for (uint32_t row = 0; row < Rows; ++row) {
    const auto sum = hn::RearrangeToOddPlusEven(sums[row], others[row]);
    int32_t* const to = c + row * p.c_row;
    hn::StoreU(p.accumulate ? hn::Add(hn::LoadU(d32, to), sum) : sum, d32, to);
  }
}

void Multiply(const Product& p, uint32_t rows) {
  constexpr uint32_t rows_at_once = 4;
  const D32 d32;
  const auto lanes = static_cast<uint32_t>(hn::Lanes(d32));
  for (uint32_t tile = 0; tile < p.tiles; ++tile)
    for (uint32_t block = 0; block < p.columns; ++block)
      for (uint32_t column = 0; column < block_columns; column += lanes) {
        const int8_t* const b = p.b + block * p.b_columns + 2 * column;
        int32_t* const c = p.c[tile] + block * block_columns + column;
        uint32_t row = 0;
        for (; row + rows_at_once <= rows; row += rows_at_once)
          multiply_vector<rows_at_once>(p, p.a[tile] + row * p.a_row, b, c + row * p.c_row);
        for (; row < rows; ++row) multiply_vector<1>(p, p.a[tile] + row * p.a_row, b, c + row * p.c_row);
      }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::int8
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::int8 {
LT_HIGHWAY_TABLE(ProductFunction*, portable_product_table, Multiply);
}  // namespace lt::cpu::int8
#endif
