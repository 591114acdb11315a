// The cells of GRU and LSTM, a vector of units at a time; see recurrent_cell.h. The functions have an error of about 1e-7.
#include "backends/cpu/highway/recurrent_cell.h"

#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/recurrent_cell.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

// Loops over arrays of vectors have to be unrolled whole, or they are no registers.
#undef LT_UNROLL
#if defined(__clang__)
#define LT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LT_UNROLL _Pragma("GCC unroll 16")
#endif

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

// Some vectors at a time, then the rest one by one. A vector's functions are long chains, of which the processor sees but
// the next hundred instructions: only chains that are written side by side run side by side.
template <size_t n, class Function>
HWY_INLINE void for_each_vectors(size_t units, const Function& function) {
  const size_t lanes = hn::Lanes(D());
  size_t u = 0;
  for (; u + n * lanes <= units; u += n * lanes) function(std::integral_constant<size_t, n>(), u, Lanes{lanes, true});
  if constexpr (n > 1)
    for (; u + lanes <= units; u += lanes) function(std::integral_constant<size_t, 1>(), u, Lanes{lanes, true});
  if (u < units) function(std::integral_constant<size_t, 1>(), u, Lanes{units - u, false});
}

// An estimate with one step of Newton's method where there is one of 12 bits or more: a division costs several times that.
template <size_t n>
HWY_INLINE void reciprocals(V (&v)[n]) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4
  V estimate[n];
  LT_UNROLL for (size_t i = 0; i < n; ++i) estimate[i] = hn::ApproximateReciprocal(v[i]);
  LT_UNROLL for (size_t i = 0; i < n; ++i) v[i] = hn::NegMulAdd(v[i], estimate[i], constant(2.0f));
  LT_UNROLL for (size_t i = 0; i < n; ++i) v[i] = hn::Mul(estimate[i], v[i]);
#else
  LT_UNROLL for (size_t i = 0; i < n; ++i) v[i] = hn::Div(constant(1.0f), v[i]);
#endif
}

// The second operand where it is NaN.
HWY_INLINE V clamp(float bound, V v) { return hn::Min(constant(bound), hn::Max(constant(-bound), v)); }

// 2^v = scale * (1 + rest), |rest| < 0.42, for |v| < 126; v becomes the rest: of the fractional part f, 2^f - 1 by a
// polynomial through 0 (fitted at Chebyshev's points, error 1.2e-8 of it), so that nothing is lost where v is near 0. NaN
// gives NaN.
template <size_t n>
HWY_INLINE void powers_of_2(V (&v)[n], V (&scale)[n]) {
  const D d;
  const hn::RebindToSigned<D> di;
  const V magic = constant(12582912.0f);  // 1.5 * 2^23: sums with it have no fraction
  V p[n];
  LT_UNROLL for (size_t i = 0; i < n; ++i) scale[i] = hn::Add(v[i], magic);
  LT_UNROLL for (size_t i = 0; i < n; ++i) v[i] = hn::Sub(v[i], hn::Sub(scale[i], magic));
  LT_UNROLL for (size_t i = 0; i < n; ++i) scale[i] =
      hn::BitCast(d, hn::Add(hn::ShiftLeft<23>(hn::BitCast(di, scale[i])), hn::BitCast(di, constant(1.0f))));
  LT_UNROLL for (size_t i = 0; i < n; ++i) p[i] = hn::MulAdd(constant(1.54614477e-4f), v[i], constant(1.33908668e-3f));
  LT_UNROLL for (size_t i = 0; i < n; ++i) p[i] = hn::MulAdd(p[i], v[i], constant(9.61805694e-3f));
  LT_UNROLL for (size_t i = 0; i < n; ++i) p[i] = hn::MulAdd(p[i], v[i], constant(5.55035695e-2f));
  LT_UNROLL for (size_t i = 0; i < n; ++i) p[i] = hn::MulAdd(p[i], v[i], constant(2.40226507e-1f));
  LT_UNROLL for (size_t i = 0; i < n; ++i) p[i] = hn::MulAdd(p[i], v[i], constant(6.93147182e-1f));
  LT_UNROLL for (size_t i = 0; i < n; ++i) v[i] = hn::Mul(p[i], v[i]);
}

constexpr float log2_e = 1.44269504f;

// 1 / (1 + e^-x) of the first `sigmoids`, then (e^2x - 1) / (e^2x + 1), with e^2x - 1 as one number: small x keep their
// digits.
template <size_t sigmoids, size_t n>
HWY_INLINE void squash(V (&x)[n]) {
  V scale[n];
  LT_UNROLL for (size_t i = 0; i < n; ++i) x[i] = hn::Mul(x[i], constant(i < sigmoids ? -log2_e : 2 * log2_e));
  LT_UNROLL for (size_t i = 0; i < n; ++i) x[i] = clamp(i < sigmoids ? 125.0f : 60.0f, x[i]);
  powers_of_2(x, scale);
  V divisor[n];
  LT_UNROLL for (size_t i = 0; i < n; ++i) x[i] =
      hn::MulAdd(scale[i], x[i], i < sigmoids ? hn::Add(scale[i], constant(1.0f)) : hn::Sub(scale[i], constant(1.0f)));
  LT_UNROLL for (size_t i = 0; i < n; ++i) divisor[i] = i < sigmoids ? x[i] : hn::Add(x[i], constant(2.0f));
  reciprocals(divisor);
  LT_UNROLL for (size_t i = 0; i < n; ++i) x[i] = i < sigmoids ? divisor[i] : hn::Mul(x[i], divisor[i]);
}

// v (1 - v)
HWY_INLINE V slope_of_sigmoid(V v) { return hn::NegMulAdd(v, v, v); }
// 1 - v^2
HWY_INLINE V slope_of_tanh(V v) { return hn::NegMulAdd(v, v, constant(1.0f)); }

}  // namespace

void LstmForward(const CellForward& row) {
  const size_t stride = row.stride, step = hn::Lanes(D());
  float* const states = row.state != nullptr ? row.state : row.saved + 3 * stride;
  float* const output_gates = row.gates + 3 * stride;  // in their own place
  for_each_vectors<2>(row.units, [&](auto count, size_t u, const Lanes lanes) {
    constexpr size_t n = count();
    const float* const gates = row.gates + u;
    V x[4 * n];  // i, f, o, g
    LT_UNROLL for (size_t v = 0; v < n; ++v) {
      x[v] = lanes.load(gates + v * step);
      x[n + v] = lanes.load(gates + stride + v * step);
      x[2 * n + v] = lanes.load(gates + 3 * stride + v * step);
      x[3 * n + v] = lanes.load(gates + 2 * stride + v * step);
    }
    squash<3 * n>(x);
    LT_UNROLL for (size_t v = 0; v < n; ++v) {
      const size_t at = u + v * step;
      const V previous = lanes.load_or_zero(row.previous == nullptr ? nullptr : row.previous + at);
      const V c = hn::MulAdd(x[n + v], previous, hn::Mul(x[v], x[3 * n + v]));
      lanes.store(c, states + at);
      lanes.store(x[2 * n + v], output_gates + at);
      if (row.saved == nullptr) continue;
      float* const saved = row.saved + at;
      lanes.store(x[v], saved);
      lanes.store(x[n + v], saved + stride);
      lanes.store(x[2 * n + v], saved + 2 * stride);
      if (row.state != nullptr) lanes.store(c, saved + 3 * stride);
    }
  });
  if (row.h == nullptr) return;
  for_each_vectors<4>(row.units, [&](auto count, size_t u, const Lanes lanes) {
    constexpr size_t n = count();
    V t[n];
    LT_UNROLL for (size_t v = 0; v < n; ++v) t[v] = lanes.load(states + u + v * step);
    squash<0>(t);
    LT_UNROLL for (size_t v = 0; v < n; ++v) {
      const size_t at = u + v * step;
      const V h = hn::Mul(lanes.load(output_gates + at), t[v]);
      lanes.store(h, row.h + at);
      if (row.copy != nullptr) lanes.store(h, row.copy + at);
    }
  });
}

void LstmBackward(const CellBackward& row) {
  const size_t stride = row.stride, step = hn::Lanes(D());
  for_each_vectors<2>(row.units, [&](auto count, size_t u, const Lanes lanes) {
    constexpr size_t n = count();
    V t[n], g[n];
    LT_UNROLL for (size_t v = 0; v < n; ++v) {
      t[v] = lanes.load(row.saved + 3 * stride + u + v * step);
      g[v] = lanes.load(row.saved + u + v * step);
    }
    squash<0>(t);
    reciprocals(g);
    LT_UNROLL for (size_t v = 0; v < n; ++v) {
      const size_t at = u + v * step;
      const float* const saved = row.saved + at;
      const V i = lanes.load(saved), f = lanes.load(saved + stride), o = lanes.load(saved + 2 * stride);
      const V previous = lanes.load_or_zero(row.previous == nullptr ? nullptr : row.previous + at);
      g[v] = clamp(1.0f, hn::Mul(hn::NegMulAdd(f, previous, lanes.load(saved + 3 * stride)), g[v]));
      const V dh = hn::Add(lanes.load_or_zero(row.dh == nullptr ? nullptr : row.dh + at),
                           lanes.load_or_zero(row.dy == nullptr ? nullptr : row.dy + at));
      const V from_after = lanes.load_or_zero(row.dc == nullptr ? nullptr : row.dc + at);
      const V dc = hn::MulAdd(hn::Mul(dh, o), slope_of_tanh(t[v]), from_after);
      float* const dgates = row.dgates + at;
      lanes.store(hn::Mul(hn::Mul(dc, g[v]), slope_of_sigmoid(i)), dgates);
      lanes.store(hn::Mul(hn::Mul(dc, previous), slope_of_sigmoid(f)), dgates + stride);
      lanes.store(hn::Mul(hn::Mul(dc, i), slope_of_tanh(g[v])), dgates + 2 * stride);
      lanes.store(hn::Mul(hn::Mul(dh, t[v]), slope_of_sigmoid(o)), dgates + 3 * stride);
      lanes.store(hn::Mul(dc, f), row.dc_previous + at);
    }
  });
}

void GruForward(const CellForward& row) {
  const size_t stride = row.stride, step = hn::Lanes(D());
  for_each_vectors<4>(row.units, [&](auto count, size_t u, const Lanes lanes) {
    constexpr size_t n = count();
    V x[2 * n], next[n];  // r, z; n
    LT_UNROLL for (size_t v = 0; v < n; ++v) {
      x[v] = lanes.load(row.gates + u + v * step);
      x[n + v] = lanes.load(row.gates + stride + u + v * step);
    }
    squash<2 * n>(x);
    LT_UNROLL for (size_t v = 0; v < n; ++v) {
      const float* const gates = row.gates + u + v * step;
      const V recurrent = lanes.load(gates + 3 * stride);
      next[v] = hn::MulAdd(x[v], recurrent, lanes.load(gates + 2 * stride));
      if (row.saved == nullptr) continue;
      float* const saved = row.saved + u + v * step;
      lanes.store(x[v], saved);
      lanes.store(x[n + v], saved + stride);
      lanes.store(recurrent, saved + 2 * stride);
    }
    squash<0>(next);
    LT_UNROLL for (size_t v = 0; v < n; ++v) {
      const size_t at = u + v * step;
      if (row.saved != nullptr && row.with_n) lanes.store(next[v], row.saved + 3 * stride + at);
      if (row.h == nullptr) continue;
      const V previous = lanes.load_or_zero(row.previous == nullptr ? nullptr : row.previous + at);
      const V h = hn::MulAdd(x[n + v], hn::Sub(previous, next[v]), next[v]);
      lanes.store(h, row.h + at);
      if (row.copy != nullptr) lanes.store(h, row.copy + at);
    }
  });
}

void GruBackward(const CellBackward& row) {
  const size_t stride = row.stride, step = hn::Lanes(D());
  for_each_vectors<2>(row.units, [&](auto count, size_t u, const Lanes lanes) {
    constexpr size_t vectors = count();
    V divided[vectors];
    LT_UNROLL for (size_t v = 0; v < vectors; ++v) {
      const V rest = hn::Sub(constant(1.0f), lanes.load(row.saved + stride + u + v * step));
      divided[v] = hn::Max(constant(1e-30f), rest);
    }
    reciprocals(divided);
    LT_UNROLL for (size_t v = 0; v < vectors; ++v) {
      const size_t at = u + v * step;
      const float* const saved = row.saved + at;
      const V r = lanes.load(saved), z = lanes.load(saved + stride), recurrent = lanes.load(saved + 2 * stride);
      const V previous = lanes.load_or_zero(row.previous == nullptr ? nullptr : row.previous + at);
      const V rest = hn::Sub(constant(1.0f), z);
      const V n = row.with_n ? lanes.load(saved + 3 * stride)
                             : clamp(1.0f, hn::Mul(hn::NegMulAdd(z, previous, lanes.load(row.h + at)), divided[v]));
      const V dh = hn::Add(lanes.load_or_zero(row.dh == nullptr ? nullptr : row.dh + at),
                           lanes.load_or_zero(row.dy == nullptr ? nullptr : row.dy + at));
      const V dn = hn::Mul(hn::Mul(dh, rest), slope_of_tanh(n));
      float* const dgates = row.dgates + at;
      lanes.store(hn::Mul(hn::Mul(dn, recurrent), slope_of_sigmoid(r)), dgates);
      lanes.store(hn::Mul(hn::Mul(dh, hn::Sub(previous, n)), slope_of_sigmoid(z)), dgates + stride);
      lanes.store(dn, dgates + 2 * stride);
      lanes.store(hn::Mul(dn, r), dgates + 3 * stride);
      lanes.store(hn::Mul(dh, z), row.dprevious + at);
    }
  });
}

void ColumnSums(const float* rows, size_t row_stride, size_t row_count, size_t columns, bool accumulate, float* sums) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  // Some columns side by side: sums that wait for nothing but themselves.
  constexpr size_t side_by_side = 4;
  size_t begin = 0;
  for (; begin + side_by_side * lanes <= columns; begin += side_by_side * lanes) {
    V sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    const float* row = rows + begin;
    for (size_t i = 0; i < row_count; ++i, row += row_stride) {
      sum0 = hn::Add(sum0, hn::LoadU(d, row));
      sum1 = hn::Add(sum1, hn::LoadU(d, row + lanes));
      sum2 = hn::Add(sum2, hn::LoadU(d, row + 2 * lanes));
      sum3 = hn::Add(sum3, hn::LoadU(d, row + 3 * lanes));
    }
    float* to = sums + begin;
    for (const V sum : {sum0, sum1, sum2, sum3}) {
      hn::StoreU(accumulate ? hn::Add(hn::LoadU(d, to), sum) : sum, d, to);
      to += lanes;
    }
  }
  for_each_vectors<1>(columns - begin, [&](auto, size_t column, const Lanes part) {
    V sum = hn::Zero(d);
    const float* row = rows + begin + column;
    for (size_t i = 0; i < row_count; ++i, row += row_stride) sum = hn::Add(sum, part.load(row));
    float* const to = sums + begin + column;
    part.store(accumulate ? hn::Add(part.load(to), sum) : sum, to);
  });
}

void AddToRow(const float* from, size_t count, float* to) {
  for_each_vectors<4>(count, [&](auto vectors, size_t i, const Lanes lanes) {
    constexpr size_t n = vectors();
    LT_UNROLL for (size_t v = 0; v < n; ++v) {
      const size_t at = i + v * hn::Lanes(D());
      lanes.store(hn::Add(lanes.load(to + at), lanes.load(from + at)), to + at);
    }
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
LT_HIGHWAY_TABLE(AddRow*, add_row_table, AddToRow);
}  // namespace lt::cpu::highway
#endif
