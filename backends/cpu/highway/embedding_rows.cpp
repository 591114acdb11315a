#include "backends/cpu/highway/embedding_rows.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/embedding_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/adam_inl.h"
#include "backends/cpu/highway/bf16_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {

using F32 = hn::ScalableTag<float>;

// One vector through all steps: it stays in registers, as it would not on a way through the row for each step.
HWY_INLINE void vector_steps(float* w_at, float* m_at, float* v_at, const float* gradient, const UpdateRates* rates,
                             uint64_t count) {
  const F32 d;
  auto w = hn::LoadU(d, w_at), m = hn::LoadU(d, m_at), v = hn::LoadU(d, v_at);
  const auto g = gradient != nullptr ? hn::LoadU(d, gradient) : hn::Zero(d);
  // Nothing has ever moved it.
  if (gradient == nullptr && hn::AllTrue(d, hn::And(hn::Eq(m, g), hn::Eq(v, g)))) return;
  if (gradient != nullptr) {
    for (uint64_t k = 0; k < count; ++k) adam_step(d, g, rates[k], w, m, v);
  } else {
    bool moves = true;
    uint64_t k = 0;
    for (; k < count && moves; ++k) {
      const auto before = w;
      adam_step(d, g, rates[k], w, m, v);
      moves = !rates[k].fades || !hn::AllTrue(d, hn::Eq(w, before));
    }
    for (; k < count; ++k) adam_moments(d, g, rates[k], m, v);  // no root and no division, most of a step's time
  }
  hn::StoreU(w, d, w_at);
  hn::StoreU(m, d, m_at);
  hn::StoreU(v, d, v_at);
}

void RowSteps(const AdamRow& row, const float* gradient, const UpdateRates* rates, uint64_t count) {
  constexpr size_t most_lanes = hn::MaxLanes(F32());
  const size_t lanes = hn::Lanes(F32());
  uint64_t i = 0;
  for (; i + lanes <= row.features; i += lanes)
    vector_steps(row.w + i, row.m + i, row.v + i, gradient != nullptr ? gradient + i : nullptr, rates, count);
  const uint64_t rest = row.features - i;
  if (rest == 0) return;
  float w[most_lanes] = {}, m[most_lanes] = {}, v[most_lanes] = {}, g[most_lanes] = {};
  std::copy_n(row.w + i, rest, w);
  std::copy_n(row.m + i, rest, m);
  std::copy_n(row.v + i, rest, v);
  if (gradient != nullptr) std::copy_n(gradient + i, rest, g);
  vector_steps(w, m, v, gradient != nullptr ? g : nullptr, rates, count);
  std::copy_n(w, rest, row.w + i);
  std::copy_n(m, rest, row.m + i);
  std::copy_n(v, rest, row.v + i);
}

HWY_INLINE hn::Vec<F32> load_gradient(F32 d, const float* from) { return hn::LoadU(d, from); }
HWY_INLINE hn::Vec<F32> load_gradient(F32 d, const Bf16* from) { return load_bf16(d, from); }
HWY_INLINE float widened(float value) { return value; }
HWY_INLINE float widened(Bf16 value) { return to_float(value); }

template <class T>
void sum_rows(const T* first, const GradientRows& rows, float* sum) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  const uint64_t features = rows.features;
  uint64_t i = 0;
  for (; i + 4 * lanes <= features; i += 4 * lanes) {
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    for (uint64_t k = 0; k < rows.count; ++k) {
      const T* const row = first + static_cast<uint64_t>(rows.places[k]) * features + i;
      s0 = hn::Add(s0, load_gradient(d, row));
      s1 = hn::Add(s1, load_gradient(d, row + lanes));
      s2 = hn::Add(s2, load_gradient(d, row + 2 * lanes));
      s3 = hn::Add(s3, load_gradient(d, row + 3 * lanes));
    }
    hn::StoreU(s0, d, sum + i);
    hn::StoreU(s1, d, sum + i + lanes);
    hn::StoreU(s2, d, sum + i + 2 * lanes);
    hn::StoreU(s3, d, sum + i + 3 * lanes);
  }
  for (; i + lanes <= features; i += lanes) {
    auto s = hn::Zero(d);
    for (uint64_t k = 0; k < rows.count; ++k)
      s = hn::Add(s, load_gradient(d, first + static_cast<uint64_t>(rows.places[k]) * features + i));
    hn::StoreU(s, d, sum + i);
  }
  for (; i < features; ++i) {
    sum[i] = 0;
    for (uint64_t k = 0; k < rows.count; ++k)
      sum[i] += widened(first[static_cast<uint64_t>(rows.places[k]) * features + i]);
  }
}

void SumOfRows(const GradientRows& rows, float* sum) {
  if (rows.bf16_rows != nullptr)
    sum_rows(rows.bf16_rows, rows, sum);
  else
    sum_rows(rows.rows, rows, sum);
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {

LT_HIGHWAY_TABLE(AdamSteps*, adam_steps_table, RowSteps);
LT_HIGHWAY_TABLE(SumRows*, sum_rows_table, SumOfRows);

}  // namespace lt::cpu::highway
#endif
