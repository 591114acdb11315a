// Rows of bfloat16 to floats and back: see bf16.h.
#include "backends/cpu/highway/bf16.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/bf16.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/bf16_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {

void Widen(const Bf16* from, uint64_t elements, float* to) {
  const hn::ScalableTag<float> d;
  uint64_t i = 0;
  for (; i + hn::Lanes(d) <= elements; i += hn::Lanes(d)) hn::StoreU(load_bf16(d, from + i), d, to + i);
  for (; i < elements; ++i) to[i] = to_float(from[i]);
}

void Round(const float* from, uint64_t elements, Bf16* to) {
  const hn::ScalableTag<float> d;
  uint64_t i = 0;
  for (; i + hn::Lanes(d) <= elements; i += hn::Lanes(d)) store_bf16(d, hn::LoadU(d, from + i), to + i);
  for (; i < elements; ++i) to[i] = to_bf16(from[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(WidenRow*, widen_row_table, Widen);
LT_HIGHWAY_TABLE(RoundRow*, round_row_table, Round);
}  // namespace lt::cpu::highway
#endif
