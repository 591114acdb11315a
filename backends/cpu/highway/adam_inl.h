// Adam's step on vectors: the one place of its arithmetic, so that a step which is put off gives the bits of one taken in
// time. Included once a target, inside HWY_BEFORE_NAMESPACE's reach, by hwy/foreach_target.h.
#if defined(LT_HIGHWAY_ADAM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_HIGHWAY_ADAM_INL_H_
#undef LT_HIGHWAY_ADAM_INL_H_
#else
#define LT_HIGHWAY_ADAM_INL_H_
#endif

#include <hwy/highway.h>

#include "backends/cpu/highway/update.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE void adam_moments(D d, hn::Vec<D> g, const UpdateRates& rates, hn::Vec<D>& m, hn::Vec<D>& v) {
  m = hn::MulAdd(hn::Set(d, rates.beta1), m, hn::Mul(hn::Set(d, rates.complement1), g));
  v = hn::MulAdd(hn::Set(d, rates.beta2), v, hn::Mul(hn::Set(d, rates.complement2), hn::Mul(g, g)));
}

// Changes w, m and v by the gradient g.
template <class D>
HWY_INLINE void adam_step(D d, hn::Vec<D> g, const UpdateRates& rates, hn::Vec<D>& w, hn::Vec<D>& m, hn::Vec<D>& v) {
  adam_moments(d, g, rates, m, v);
  const auto denominator = hn::MulAdd(hn::Sqrt(v), hn::Set(d, rates.root), hn::Set(d, rates.epsilon));
  w = hn::NegMulAdd(hn::Set(d, rates.rate), hn::Div(m, denominator), w);
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif
