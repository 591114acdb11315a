#include "backends/cpu/int8/finish.h"

#include "src/base/int8.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/int8/finish.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::int8 {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<int32_t, 16>;
using DF = hn::RebindToFloat<D>;
using DB = hn::Rebind<uint8_t, D>;

// To the nearest, halves to even, of numbers within 30 bits. On AVX-512 by the instruction itself: Highway mends what would
// not fit into 32, in six more.
HWY_INLINE hn::Vec<D> nearest(hn::Vec<DF> number) {
#if HWY_TARGET == HWY_AVX3
  return hn::Vec<D>{_mm512_cvtps_epi32(number.raw)};
#else
  return hn::NearestInt(number);
#endif
}

// Two vectors of steps as bytes, held to 0 .. 255, one behind the other.
HWY_INLINE void store_pair(hn::Vec<D> first, hn::Vec<D> second, uint8_t* y) {
#if HWY_TARGET == HWY_AVX3
  // In each block of 128 bits four of the first and four of the second, twice.
  const __m512i words = _mm512_packs_epi32(first.raw, second.raw), bytes = _mm512_packus_epi16(words, words);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 4, 8, 12, 1, 5, 9, 13);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), _mm512_castsi512_si256(_mm512_permutexvar_epi32(order, bytes)));
#else
  const DB db;
  hn::StoreU(hn::DemoteTo(db, first), db, y);
  hn::StoreU(hn::DemoteTo(db, second), db, y + hn::Lanes(db));
#endif
}

template <bool Residual>
class Ends {
 public:
  explicit Ends(const Finish& f)
      : f_(f),
        low_(hn::Set(DF(), Residual ? -requantised_most : -static_cast<float>(f.zero))),
        high_(hn::Set(DF(), Residual ? requantised_most : 255 - static_cast<float>(f.zero))),
        zero_(hn::Set(D(), f.zero)),
        half_(hn::Set(D(), 128 + (f.zero << 8))),
        residual_zero_(hn::Set(D(), f.residual_zero)),
        residual_factor_(hn::Set(DF(), f.residual_factor)) {}

  // Of a vector of columns of a row. Held to the bounds before it is rounded: for whole bounds that is the same.
  HWY_INLINE hn::Vec<D> steps(const int32_t* sums, const uint8_t* residual, uint64_t column) const {
    const D d;
    const DF df;
    const auto sum = hn::Add(hn::LoadU(d, sums), hn::LoadU(d, f_.bias + column));
    const auto scaled = hn::Mul(hn::ConvertTo(df, sum), hn::LoadU(df, f_.factor + column));
    const auto own = nearest(hn::Min(hn::Max(scaled, low_), high_));
    if constexpr (!Residual) return hn::Add(own, zero_);
    const auto other = hn::Sub(hn::PromoteTo(d, hn::LoadU(DB(), residual)), residual_zero_);
    const auto others = nearest(hn::Mul(hn::ConvertTo(df, other), residual_factor_));
    return hn::ShiftRight<8>(hn::Add(hn::Add(own, others), half_));
  }

  // All rows of a pair of vectors of columns, or of one.
  HWY_INLINE void columns(uint64_t column, bool pair) const {
    const uint64_t lanes = hn::Lanes(D());
    const int32_t* sums = f_.sums + column;
    uint8_t* y = f_.y + column;
    const uint8_t* residual = Residual ? f_.residual + column : f_.y;
    for (uint32_t row = 0; row < f_.rows; ++row, sums += f_.sums_row, y += f_.y_row, residual += f_.y_row) {
      const auto first = steps(sums, residual, column);
      if (pair)
        store_pair(first, steps(sums + lanes, residual + lanes, column + lanes), y);
      else
        hn::StoreU(hn::DemoteTo(DB(), first), DB(), y);
    }
  }

 private:
  const Finish& f_;
  const hn::Vec<DF> low_, high_;
  const hn::Vec<D> zero_, half_, residual_zero_;
  const hn::Vec<DF> residual_factor_;
};

template <bool Residual>
HWY_INLINE uint64_t finish_vectors(const Finish& f) {
  const uint64_t lanes = hn::Lanes(D());
  const Ends<Residual> ends(f);
  uint64_t column = 0;
  for (; column + 2 * lanes <= f.columns; column += 2 * lanes) ends.columns(column, true);
  for (; column + lanes <= f.columns; column += lanes) ends.columns(column, false);
  return column;
}

void FinishAll(const Finish& f) {
  uint64_t column = f.residual != nullptr ? finish_vectors<true>(f) : finish_vectors<false>(f);
  for (; column < f.columns; ++column)
    for (uint32_t row = 0; row < f.rows; ++row) {
      const int32_t sum = f.sums[row * f.sums_row + column] + f.bias[column];
      const uint64_t at = row * f.y_row + column;
      if (f.residual == nullptr) {
        f.y[at] = requantised(sum, f.factor[column], f.zero);
        continue;
      }
      const int32_t steps =
          rounded_steps(sum, f.factor[column]) + rounded_steps(f.residual[at] - f.residual_zero, f.residual_factor);
      f.y[at] = to_byte((steps + 128) >> 8, f.zero);
    }
}

void Maximum(const uint8_t* const* lines, uint32_t count, uint64_t bytes, uint8_t* y) {
  const hn::ScalableTag<uint8_t> d;
  uint64_t i = 0;
  for (; i + hn::Lanes(d) <= bytes; i += hn::Lanes(d)) {
    auto best = hn::LoadU(d, lines[0] + i);
    for (uint32_t line = 1; line < count; ++line) best = hn::Max(best, hn::LoadU(d, lines[line] + i));
    hn::StoreU(best, d, y + i);
  }
  for (; i < bytes; ++i) {
    uint8_t best = lines[0][i];
    for (uint32_t line = 1; line < count; ++line) best = best < lines[line][i] ? lines[line][i] : best;
    y[i] = best;
  }
}

void ColumnSums(const uint8_t* x, uint64_t pixels, uint64_t channels, uint64_t first, uint64_t count, int32_t* sums) {
  const D d;
  const DB db;
  uint64_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    auto sum = hn::Zero(d);
    for (uint64_t pixel = 0; pixel < pixels; ++pixel)
      sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(db, x + pixel * channels + first + i)));
    hn::StoreU(sum, d, sums + i);
  }
  for (; i < count; ++i) {
    sums[i] = 0;
    for (uint64_t pixel = 0; pixel < pixels; ++pixel) sums[i] += x[pixel * channels + first + i];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::int8
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::int8 {
LT_HIGHWAY_TABLE(FinishFunction*, finish_table, FinishAll);
LT_HIGHWAY_TABLE(MaximumFunction*, maximum_table, Maximum);
LT_HIGHWAY_TABLE(ColumnSumFunction*, column_sum_table, ColumnSums);
}  // namespace lt::cpu::int8
#endif
