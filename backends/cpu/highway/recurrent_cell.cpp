// The cells of GRU and LSTM, a vector of units at a time; see recurrent_cell.h. The functions have an error of about 1e-7.
#include "backends/cpu/highway/recurrent_cell.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/recurrent_cell.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE V constant(float value) { return hn::Set(D(), value); }

// `count` numbers, all lanes or fewer: then zeros follow, and nothing past them is read or written.
struct Lanes {
  size_t count;
  bool all;
  HWY_INLINE V load(const float* from) const {
    const D d;
    if (all) return hn::LoadU(d, from);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
    return hn::MaskedLoad(hn::FirstN(d, count), d, from);
#else
    HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)] = {};
    for (size_t i = 0; i < count; ++i) part[i] = from[i];
    return hn::Load(d, part);
#endif
  }
  HWY_INLINE V load_or_zero(const float* from) const { return from == nullptr ? hn::Zero(D()) : load(from); }
  HWY_INLINE void store(V v, float* to) const {
    const D d;
    if (all) {
      hn::StoreU(v, d, to);
      return;
    }
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
    hn::BlendedStore(v, hn::FirstN(d, count), d, to);
#else
    HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)] = {};
    hn::Store(v, d, part);
    for (size_t i = 0; i < count; ++i) to[i] = part[i];
#endif
  }
};

template <class Function>
HWY_INLINE void for_each_vector(size_t units, const Function& function) {
  const size_t lanes = hn::Lanes(D());
  size_t u = 0;
  for (; u + lanes <= units; u += lanes) function(u, Lanes{lanes, true});
  if (u < units) function(u, Lanes{units - u, false});
}

// An estimate with one step of Newton's method where there is one of 12 bits or more: a division costs several times that.
HWY_INLINE V reciprocal(V v) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4
  const V estimate = hn::ApproximateReciprocal(v);
  return hn::Mul(estimate, hn::NegMulAdd(v, estimate, constant(2.0f)));
#else
  return hn::Div(constant(1.0f), v);
#endif
}

// 2^v = scale * (1 + rest), |rest| < 0.42, for |v| < 126: rest is the fractional part's 2^f - 1 by a polynomial through 0
// (fitted at Chebyshev's points, error 1.2e-8 of it), so that nothing is lost where v is near 0. NaN gives NaN.
struct Power {
  V scale, rest;
};
HWY_INLINE Power power_of_2(V v) {
  const D d;
  const hn::RebindToSigned<D> di;
  const V magic = constant(12582912.0f);  // 1.5 * 2^23: sums with it have no fraction
  const V shifted = hn::Add(v, magic), f = hn::Sub(v, hn::Sub(shifted, magic));
  const V scale = hn::BitCast(d, hn::Add(hn::ShiftLeft<23>(hn::BitCast(di, shifted)), hn::BitCast(di, constant(1.0f))));
  V p = constant(1.54614477e-4f);
  p = hn::MulAdd(p, f, constant(1.33908668e-3f));
  p = hn::MulAdd(p, f, constant(9.61805694e-3f));
  p = hn::MulAdd(p, f, constant(5.55035695e-2f));
  p = hn::MulAdd(p, f, constant(2.40226507e-1f));
  p = hn::MulAdd(p, f, constant(6.93147182e-1f));
  return {scale, hn::Mul(p, f)};
}

// The second operand where it is NaN.
HWY_INLINE V clamp(float bound, V v) { return hn::Min(constant(bound), hn::Max(constant(-bound), v)); }

constexpr float log2_e = 1.44269504f;

// 1 / (1 + e^-x)
HWY_INLINE V sigmoid(V x) {
  const Power p = power_of_2(clamp(125.0f, hn::Mul(x, constant(-log2_e))));
  return reciprocal(hn::MulAdd(p.scale, p.rest, hn::Add(p.scale, constant(1.0f))));
}

// (e^2x - 1) / (e^2x + 1), with e^2x - 1 as one number: small x keep their digits.
HWY_INLINE V tanh(V x) {
  const Power p = power_of_2(clamp(60.0f, hn::Mul(x, constant(2 * log2_e))));
  const V less_one = hn::MulAdd(p.scale, p.rest, hn::Sub(p.scale, constant(1.0f)));
  return hn::Mul(less_one, reciprocal(hn::Add(less_one, constant(2.0f))));
}

// v (1 - v)
HWY_INLINE V slope_of_sigmoid(V v) { return hn::NegMulAdd(v, v, v); }
// 1 - v^2
HWY_INLINE V slope_of_tanh(V v) { return hn::NegMulAdd(v, v, constant(1.0f)); }

}  // namespace

void LstmForward(const CellForward& row) {
  const size_t stride = row.stride;
  for_each_vector(row.units, [&](size_t u, const Lanes lanes) {
    const float* const gates = row.gates + u;
    const V i = sigmoid(lanes.load(gates)), f = sigmoid(lanes.load(gates + stride));
    const V g = tanh(lanes.load(gates + 2 * stride)), o = sigmoid(lanes.load(gates + 3 * stride));
    const V previous = lanes.load_or_zero(row.previous == nullptr ? nullptr : row.previous + u);
    const V c = hn::MulAdd(f, previous, hn::Mul(i, g)), h = hn::Mul(o, tanh(c));
    if (row.saved != nullptr) {
      float* const saved = row.saved + u;
      lanes.store(i, saved);
      lanes.store(f, saved + stride);
      lanes.store(o, saved + 2 * stride);
      lanes.store(c, saved + 3 * stride);
    }
    if (row.state != nullptr) lanes.store(c, row.state + u);
    if (row.h != nullptr) lanes.store(h, row.h + u);
    if (row.copy != nullptr) lanes.store(h, row.copy + u);
  });
}

void LstmBackward(const CellBackward& row) {
  const size_t stride = row.stride;
  for_each_vector(row.units, [&](size_t u, const Lanes lanes) {
    const float* const saved = row.saved + u;
    const V i = lanes.load(saved), f = lanes.load(saved + stride), o = lanes.load(saved + 2 * stride);
    const V c = lanes.load(saved + 3 * stride);
    const V previous = lanes.load_or_zero(row.previous == nullptr ? nullptr : row.previous + u);
    const V g = clamp(1.0f, hn::Mul(hn::NegMulAdd(f, previous, c), reciprocal(i)));
    const V t = tanh(c);
    const V dh = hn::Add(lanes.load_or_zero(row.dh == nullptr ? nullptr : row.dh + u),
                         lanes.load_or_zero(row.dy == nullptr ? nullptr : row.dy + u));
    const V dc = hn::MulAdd(hn::Mul(dh, o), slope_of_tanh(t), lanes.load_or_zero(row.dc == nullptr ? nullptr : row.dc + u));
    float* const dgates = row.dgates + u;
    lanes.store(hn::Mul(hn::Mul(dc, g), slope_of_sigmoid(i)), dgates);
    lanes.store(hn::Mul(hn::Mul(dc, previous), slope_of_sigmoid(f)), dgates + stride);
    lanes.store(hn::Mul(hn::Mul(dc, i), slope_of_tanh(g)), dgates + 2 * stride);
    lanes.store(hn::Mul(hn::Mul(dh, t), slope_of_sigmoid(o)), dgates + 3 * stride);
    lanes.store(hn::Mul(dc, f), row.dc_previous + u);
  });
}

void GruForward(const CellForward& row) {
  const size_t stride = row.stride;
  for_each_vector(row.units, [&](size_t u, const Lanes lanes) {
    const float* const gates = row.gates + u;
    const V r = sigmoid(lanes.load(gates)), z = sigmoid(lanes.load(gates + stride));
    const V recurrent = lanes.load(gates + 3 * stride);
    const V n = tanh(hn::MulAdd(r, recurrent, lanes.load(gates + 2 * stride)));
    const V previous = lanes.load_or_zero(row.previous == nullptr ? nullptr : row.previous + u);
    const V h = hn::MulAdd(z, hn::Sub(previous, n), n);
    if (row.saved != nullptr) {
      float* const saved = row.saved + u;
      lanes.store(r, saved);
      lanes.store(z, saved + stride);
      lanes.store(recurrent, saved + 2 * stride);
    }
    if (row.h != nullptr) lanes.store(h, row.h + u);
    if (row.copy != nullptr) lanes.store(h, row.copy + u);
  });
}

void GruBackward(const CellBackward& row) {
  const size_t stride = row.stride;
  for_each_vector(row.units, [&](size_t u, const Lanes lanes) {
    const float* const saved = row.saved + u;
    const V r = lanes.load(saved), z = lanes.load(saved + stride), recurrent = lanes.load(saved + 2 * stride);
    const V previous = lanes.load_or_zero(row.previous == nullptr ? nullptr : row.previous + u);
    const V rest = hn::Sub(constant(1.0f), z);
    const V n = clamp(
        1.0f, hn::Mul(hn::NegMulAdd(z, previous, lanes.load(row.h + u)), reciprocal(hn::Max(constant(1e-30f), rest))));
    const V dh = hn::Add(lanes.load_or_zero(row.dh == nullptr ? nullptr : row.dh + u),
                         lanes.load_or_zero(row.dy == nullptr ? nullptr : row.dy + u));
    const V dn = hn::Mul(hn::Mul(dh, rest), slope_of_tanh(n));
    float* const dgates = row.dgates + u;
    lanes.store(hn::Mul(hn::Mul(dn, recurrent), slope_of_sigmoid(r)), dgates);
    lanes.store(hn::Mul(hn::Mul(dh, hn::Sub(previous, n)), slope_of_sigmoid(z)), dgates + stride);
    lanes.store(dn, dgates + 2 * stride);
    lanes.store(hn::Mul(dn, r), dgates + 3 * stride);
    lanes.store(hn::Mul(dh, z), row.dprevious + u);
  });
}

void ColumnSums(const float* rows, size_t row_stride, size_t row_count, size_t columns, bool accumulate, float* sums) {
  for_each_vector(columns, [&](size_t column, const Lanes lanes) {
    V sum = hn::Zero(D());
    const float* row = rows + column;
    for (size_t i = 0; i < row_count; ++i, row += row_stride) sum = hn::Add(sum, lanes.load(row));
    lanes.store(accumulate ? hn::Add(lanes.load(sums + column), sum) : sum, sums + column);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(CellForwardFunction*, gru_forward_table, GruForward);
LT_HIGHWAY_TABLE(CellForwardFunction*, lstm_forward_table, LstmForward);
LT_HIGHWAY_TABLE(CellBackwardFunction*, gru_backward_table, GruBackward);
LT_HIGHWAY_TABLE(CellBackwardFunction*, lstm_backward_table, LstmBackward);
LT_HIGHWAY_TABLE(ColumnSumsFunction*, column_sums_table, ColumnSums);
}  // namespace lt::cpu::highway
#endif
