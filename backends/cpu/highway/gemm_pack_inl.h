// Copies of matrices into the order that the register tiles read, for one instruction set: see gemm_tile_inl.h.
#if defined(LT_GEMM_PACK_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_GEMM_PACK_INL_H
#undef LT_GEMM_PACK_INL_H
#else
#define LT_GEMM_PACK_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "backends/cpu/highway/gemm_tile_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR
constexpr size_t square = 1;
#else
constexpr size_t square = 4;
#endif

// One square of transpose.
HWY_INLINE void transpose_square(const float* from, size_t from_stride, float* to, size_t to_stride, bool add) {
#if HWY_TARGET == HWY_SCALAR
  (void)from_stride, (void)to_stride;
  *to = add ? *to + *from : *from;
#else
  const hn::FixedTag<float, square> d;
  const auto row0 = hn::LoadU(d, from), row1 = hn::LoadU(d, from + from_stride);
  const auto row2 = hn::LoadU(d, from + 2 * from_stride), row3 = hn::LoadU(d, from + 3 * from_stride);
  const auto low02 = hn::InterleaveLower(d, row0, row2), low13 = hn::InterleaveLower(d, row1, row3);
  const auto high02 = hn::InterleaveUpper(d, row0, row2), high13 = hn::InterleaveUpper(d, row1, row3);
  auto column0 = hn::InterleaveLower(d, low02, low13), column1 = hn::InterleaveUpper(d, low02, low13);
  auto column2 = hn::InterleaveLower(d, high02, high13), column3 = hn::InterleaveUpper(d, high02, high13);
  if (add) {
    column0 = hn::Add(hn::LoadU(d, to), column0);
    column1 = hn::Add(hn::LoadU(d, to + to_stride), column1);
    column2 = hn::Add(hn::LoadU(d, to + 2 * to_stride), column2);
    column3 = hn::Add(hn::LoadU(d, to + 3 * to_stride), column3);
  }
  hn::StoreU(column0, d, to);
  hn::StoreU(column1, d, to + to_stride);
  hn::StoreU(column2, d, to + 2 * to_stride);
  hn::StoreU(column3, d, to + 3 * to_stride);
#endif
}

// to[column * to_stride + row] = from[row * from_stride + column] (added to where add). Goes along the side whose rows lie
// farther apart: strides of whole pages share a few lines of the first-level cache.
inline void transpose(const float* from, size_t from_stride, size_t rows, size_t columns, float* to, size_t to_stride,
                      bool add) {
  const size_t whole_rows = rows / square * square, whole_columns = columns / square * square;
  if (from_stride < to_stride) {
    for (size_t c = 0; c < whole_columns; c += square)
      for (size_t r = 0; r < whole_rows; r += square)
        transpose_square(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride, add);
  } else {
    constexpr size_t chunk = 64;  // of columns: what is written stays near until its lines are whole
    for (size_t begin = 0; begin < whole_columns; begin += chunk)
      for (size_t r = 0; r < whole_rows; r += square)
        for (size_t c = begin, end = std::min(begin + chunk, whole_columns); c < end; c += square)
          transpose_square(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride, add);
  }
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) {
      float& t = to[c * to_stride + r];
      t = add ? t + from[r * from_stride + c] : from[r * from_stride + c];
    }
}

// packed[k][width] from `columns` <= width columns of B; zeros beyond them, which are fewer than a vector.
inline void pack_panel(const float* b, size_t b_stride, bool b_rows, size_t columns, size_t width, size_t depth,
                       float* packed) {
  const D d;
  const size_t lanes = hn::Lanes(d), whole = columns / lanes * lanes;
  if (b_rows) {
    for (size_t k = 0; k < depth; ++k, b += b_stride, packed += width) {
      for (size_t i = 0; i < whole; i += lanes) hn::Store(hn::LoadU(d, b + i), d, packed + i);
      if (whole < width) hn::Store(load_part(b + whole, columns - whole), d, packed + whole);
    }
  } else {
    transpose(b, b_stride, columns, depth, packed, width, false);
    if (columns < width)
      for (size_t k = 0; k < depth; ++k) std::memset(packed + k * width + columns, 0, (width - columns) * sizeof(float));
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif
