// Vectors of bfloat16 to floats and back, compiled once a target into each file that includes it, after hwy/highway.h. By
// integer arithmetic on every target, so that all round alike, the numbers below 2^-126 included. Rounding is that of
// src/base/bf16.h.
#if defined(LT_BF16_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_BF16_INL_H
#undef LT_BF16_INL_H
#else
#define LT_BF16_INL_H
#endif

#include "src/base/bf16.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> load_bf16(D d, const Bf16* from) {
  const hn::RebindToUnsigned<D> d32;
  const hn::Rebind<uint16_t, D> d16;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, &from->bits))));
}

template <class D>
HWY_INLINE void store_bf16(D, hn::Vec<D> value, Bf16* to) {
  const hn::RebindToUnsigned<D> d32;
  const hn::RebindToSigned<D> signed32;
  const hn::Rebind<uint16_t, D> d16;
  const auto bits = hn::BitCast(d32, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7fffu)));
  const auto nan = hn::RebindMask(d32, hn::IsNaN(value));
  const auto upper = hn::ShiftRight<16>(hn::IfThenElse(nan, hn::Set(d32, 0x7fffffffu), rounded));
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(signed32, upper)), d16, &to->bits);
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif
