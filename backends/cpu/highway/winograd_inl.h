// Winograd's minimal filtering in one dimension, which the convolutions' transforms apply along rows and along columns:
// Toom-Cook at the points 0, a, -a, b, -b and infinity, six products for m outputs of a kernel of k = 7 - m weights.
// Compiled once a target into each file that includes it, after hwy/highway.h. README.md has the matrices and where they
// come from. Nothing here owns memory; any thread may call.
#if defined(LT_WINOGRAD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_WINOGRAD_INL_H
#undef LT_WINOGRAD_INL_H
#else
#define LT_WINOGRAD_INL_H
#endif

#include "backends/cpu/highway/conv2d_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

constexpr uint32_t side = 6, points = side * side;

// a = 5/8 and b = 3/2: exact in binary, as are all powers below, and half the rounding error of 1 and 2.
constexpr float a1 = 0.625f, a2 = a1 * a1, a3 = a2 * a1, a4 = a3 * a1;
constexpr float b1 = 1.5f, b2 = b1 * b1, b3 = b2 * b1, b4 = b3 * b1;
constexpr float ab2 = a2 * b2, square_sum = a2 + b2;
// What a weight is divided by at each point: the product of its distances to the other finite ones.
constexpr float weight_0 = 1 / ab2, weight_a = 1 / (2 * a2 * (a2 - b2)), weight_b = 1 / (2 * b2 * (b2 - a2));

HWY_INLINE V times(float factor, V value) { return hn::Mul(hn::Set(D(), factor), value); }
HWY_INLINE V plus_times(V sum, float factor, V value) { return hn::MulAdd(hn::Set(D(), factor), value, sum); }

// Which of the six points a transform along the first axis makes, so that what is alive at once fits the registers and,
// in the weights' gradient, so that two points at a time can be summed.
struct PointsA {  // a and -a
  static constexpr uint32_t first = 1, count = 2, step = 1;
};
struct PointsB {  // b and -b
  static constexpr uint32_t first = 3, count = 2, step = 1;
};
struct PointsEnds {  // 0 and infinity
  static constexpr uint32_t first = 0, count = 2, step = 5;
};
struct PointsMiddle {  // a, -a, b and -b
  static constexpr uint32_t first = 1, count = 4, step = 1;
};

// The six inputs d of a tile at some of the points: rows of B^T.
HWY_INLINE void input_points(PointsA, const V (&d)[side], V (&to)[2]) {
  const V even = plus_times(d[4], -b2, d[2]), odd = plus_times(d[3], -b2, d[1]);
  to[0] = plus_times(even, a1, odd);
  to[1] = plus_times(even, -a1, odd);
}
HWY_INLINE void input_points(PointsB, const V (&d)[side], V (&to)[2]) {
  const V even = plus_times(d[4], -a2, d[2]), odd = plus_times(d[3], -a2, d[1]);
  to[0] = plus_times(even, b1, odd);
  to[1] = plus_times(even, -b1, odd);
}
HWY_INLINE void input_points(PointsEnds, const V (&d)[side], V (&to)[2]) {
  to[0] = plus_times(plus_times(d[4], -square_sum, d[2]), ab2, d[0]);
  to[1] = plus_times(plus_times(d[5], -square_sum, d[3]), ab2, d[1]);
}
HWY_INLINE void input_points(PointsMiddle, const V (&d)[side], V (&to)[4]) {
  V low[2], high[2];
  input_points(PointsA(), d, low);
  input_points(PointsB(), d, high);
  to[0] = low[0];
  to[1] = low[1];
  to[2] = high[0];
  to[3] = high[1];
}
HWY_INLINE void input_all(const V (&d)[side], V (&to)[side]) {
  V ends[2], middle[4];
  input_points(PointsEnds(), d, ends);
  input_points(PointsMiddle(), d, middle);
  to[0] = ends[0];
  LT_CONV2D_UNROLL for (size_t i = 0; i < 4; ++i) to[1 + i] = middle[i];
  to[5] = ends[1];
}
// Whether a row of B^T at these points reads input i: only the ends read the first and the last.
template <class Points>
constexpr bool input_reads(size_t i) {
  return std::is_same_v<Points, PointsEnds> || (i != 0 && i != side - 1);
}

// The weights g, zeros past the kernel's last, at all points: G. `last`: the kernel's last.
HWY_INLINE void weight_all(const V (&g)[5], V last, V (&to)[side]) {
  const V even_a = plus_times(plus_times(g[0], a2, g[2]), a4, g[4]), odd_a = plus_times(times(a1, g[1]), a3, g[3]);
  const V even_b = plus_times(plus_times(g[0], b2, g[2]), b4, g[4]), odd_b = plus_times(times(b1, g[1]), b3, g[3]);
  to[0] = times(weight_0, g[0]);
  to[1] = times(weight_a, hn::Add(even_a, odd_a));
  to[2] = times(weight_a, hn::Sub(even_a, odd_a));
  to[3] = times(weight_b, hn::Add(even_b, odd_b));
  to[4] = times(weight_b, hn::Sub(even_b, odd_b));
  to[5] = last;
}

// The outputs from the six products: A^T.
template <size_t Outputs>
HWY_INLINE void output_all(const V (&m)[side], V (&to)[Outputs]) {
  static_assert(Outputs == 2 || Outputs == 4);
  const V even_a = hn::Add(m[1], m[2]), odd_a = hn::Sub(m[1], m[2]), even_b = hn::Add(m[3], m[4]),
          odd_b = hn::Sub(m[3], m[4]);
  to[0] = hn::Add(hn::Add(m[0], even_a), even_b);
  if constexpr (Outputs == 2) {
    to[1] = plus_times(plus_times(m[5], a1, odd_a), b1, odd_b);
  } else {
    to[1] = plus_times(times(a1, odd_a), b1, odd_b);
    to[2] = plus_times(times(a2, even_a), b2, even_b);
    to[3] = plus_times(plus_times(m[5], a3, odd_a), b3, odd_b);
  }
}

// The outputs' gradients at some of the points: rows of A.
template <size_t Outputs>
HWY_INLINE void gradient_pair(float p1, float p2, const V (&y)[Outputs], V (&to)[2]) {
  V even = y[0], odd = y[1];
  if constexpr (Outputs == 4) {
    even = plus_times(even, p2, y[2]);
    odd = plus_times(odd, p2, y[3]);
  }
  to[0] = plus_times(even, p1, odd);
  to[1] = plus_times(even, -p1, odd);
}
template <size_t Outputs>
HWY_INLINE void gradient_points(PointsA, const V (&y)[Outputs], V (&to)[2]) {
  gradient_pair(a1, a2, y, to);
}
template <size_t Outputs>
HWY_INLINE void gradient_points(PointsB, const V (&y)[Outputs], V (&to)[2]) {
  gradient_pair(b1, b2, y, to);
}
template <size_t Outputs>
HWY_INLINE void gradient_points(PointsEnds, const V (&y)[Outputs], V (&to)[2]) {
  to[0] = y[0];
  to[1] = y[Outputs - 1];
}
template <size_t Outputs>
HWY_INLINE void gradient_points(PointsMiddle, const V (&y)[Outputs], V (&to)[4]) {
  V low[2], high[2];
  gradient_pair(a1, a2, y, low);
  gradient_pair(b1, b2, y, high);
  to[0] = low[0];
  to[1] = low[1];
  to[2] = high[0];
  to[3] = high[1];
}
template <size_t Outputs>
HWY_INLINE void gradient_all(const V (&y)[Outputs], V (&to)[side]) {
  V low[2], high[2];
  gradient_points(PointsA(), y, low);
  gradient_points(PointsB(), y, high);
  to[0] = y[0];
  to[1] = low[0];
  to[2] = low[1];
  to[3] = high[0];
  to[4] = high[1];
  to[5] = y[Outputs - 1];
}
template <class Points, size_t Outputs>
constexpr bool gradient_reads(size_t i) {
  return !std::is_same_v<Points, PointsEnds> || i == 0 || i == Outputs - 1;
}

// The weights' gradients from the six sums: G^T.
template <size_t Kernel>
HWY_INLINE void weight_gradients(const V (&f)[side], V (&to)[Kernel]) {
  static_assert(Kernel == 3 || Kernel == 5);
  const V even_a = times(weight_a, hn::Add(f[1], f[2])), odd_a = times(weight_a, hn::Sub(f[1], f[2]));
  const V even_b = times(weight_b, hn::Add(f[3], f[4])), odd_b = times(weight_b, hn::Sub(f[3], f[4]));
  to[0] = plus_times(hn::Add(even_a, even_b), weight_0, f[0]);
  to[1] = plus_times(times(a1, odd_a), b1, odd_b);
  to[2] = plus_times(times(a2, even_a), b2, even_b);
  if constexpr (Kernel == 5) {
    to[3] = plus_times(times(a3, odd_a), b3, odd_b);
    to[4] = plus_times(times(a4, even_a), b4, even_b);
  }
  to[Kernel - 1] = hn::Add(to[Kernel - 1], f[5]);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif  // LT_WINOGRAD_INL_H
