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

// Held to the bounds before it is rounded: for whole bounds that is the same.
template <class V>
HWY_INLINE hn::Vec<D> rounded_between(V number, hn::Vec<DF> low, hn::Vec<DF> high) {
  return hn::NearestInt(hn::Min(hn::Max(number, low), high));
}

template <bool Residual>
HWY_INLINE void finish_columns(const Finish& f, uint64_t column) {
  const D d;
  const DF df;
  const DB db;
  const auto factor = hn::LoadU(df, f.factor + column);
  const auto bias = hn::LoadU(d, f.bias + column), zero = hn::Set(d, f.zero);
  const auto zero_byte = static_cast<float>(f.zero);
  const float most = Residual ? requantised_most : 255 - zero_byte, least = Residual ? -requantised_most : -zero_byte;
  const auto low = hn::Set(df, least), high = hn::Set(df, most);
  const auto half = hn::Set(d, 128 + (f.zero << 8)), from = hn::Set(d, f.residual_zero);
  const auto residual_factor = hn::Set(df, f.residual_factor);
  const int32_t* sums = f.sums + column;
  uint8_t* y = f.y + column;
  const uint8_t* residual = Residual ? f.residual + column : nullptr;
  for (uint32_t row = 0; row < f.rows; ++row, sums += f.sums_row, y += f.y_row) {
    const auto sum = hn::Add(hn::LoadU(d, sums), bias);
    auto steps = rounded_between(hn::Mul(hn::ConvertTo(df, sum), factor), low, high);
    if constexpr (Residual) {
      const auto other = hn::Sub(hn::PromoteTo(d, hn::LoadU(db, residual)), from);
      const auto other_steps = hn::NearestInt(hn::Mul(hn::ConvertTo(df, other), residual_factor));
      steps = hn::ShiftRight<8>(hn::Add(hn::Add(steps, other_steps), half));
      residual += f.y_row;
    } else {
      steps = hn::Add(steps, zero);
    }
    hn::StoreU(hn::DemoteTo(db, steps), db, y);
  }
}

void FinishAll(const Finish& f) {
  const uint64_t lanes = hn::Lanes(D());
  uint64_t column = 0;
  for (; column + lanes <= f.columns; column += lanes)
    f.residual != nullptr ? finish_columns<true>(f, column) : finish_columns<false>(f, column);
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
