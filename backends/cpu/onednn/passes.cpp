// See passes.h. Channels run along the lanes; what a whole vector does not cover goes element by element.
#include "backends/cpu/onednn/passes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/onednn/passes.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef LT_ONEDNN_PASSES_ONCE
#define LT_ONEDNN_PASSES_ONCE
namespace lt::cpu::onednn {
namespace {

// The part of one output's window that lies on the input, in one direction: input positions [begin, end) and the number
// of the first one within the window.
struct Span {
  uint32_t begin, end, first;
};

Span window_span(uint32_t output, const Window& window, uint32_t input_size) {
  const uint32_t start = output * window.stride;  // in the padded input
  const uint32_t first = start < window.padding ? window.padding - start : 0;
  const uint32_t begin = start + first - window.padding;
  const uint32_t end = start + window.kernel > window.padding ? start + window.kernel - window.padding : 0;
  return {begin, std::max(begin, std::min(end, input_size)), first};
}

}  // namespace
}  // namespace lt::cpu::onednn
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::onednn {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One output pixel, channels [c, channels), one vector (or one element, with a capped tag) at a time.
template <class D>
HWY_ATTR uint32_t pool_pixel(D d, uint32_t c, const float* x, const Extent& x_extent, const Window& window, Span rows,
                             Span columns, float* y, uint8_t* argmax) {
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint8_t, D> du8;
  const auto lanes = static_cast<uint32_t>(hn::Lanes(d));
  for (; c + lanes <= x_extent.channels; c += lanes) {
    auto best = hn::Zero(d);
    auto where = hn::Zero(di);
    bool first = true;
    for (uint32_t row = rows.begin; row < rows.end; ++row) {
      for (uint32_t column = columns.begin; column < columns.end; ++column) {
        const auto value = hn::LoadU(d, x + (uint64_t{row} * x_extent.width + column) * x_extent.channels + c);
        const auto here = hn::Set(di, static_cast<int32_t>((row - rows.begin + rows.first) * window.kernel + column -
                                                           columns.begin + columns.first));
        if (first) {
          best = value;
          where = here;
          first = false;
          continue;
        }
        const auto better = hn::Or(hn::Gt(value, best), hn::AndNot(hn::IsNaN(best), hn::IsNaN(value)));
        best = hn::IfThenElse(better, value, best);
        where = hn::IfThenElse(hn::RebindMask(di, better), here, where);
      }
    }
    hn::StoreU(best, d, y + c);
    if (argmax != nullptr) hn::StoreU(hn::DemoteTo(du8, where), du8, argmax + c);
  }
  return c;
}

HWY_ATTR void max_pool(const float* x, const Extent& x_extent, const Window& window, const Extent& y_extent, float* y,
                       uint8_t* argmax) {
  for (uint32_t row = 0; row < y_extent.height; ++row) {
    const Span rows = window_span(row, window, x_extent.height);
    for (uint32_t column = 0; column < y_extent.width; ++column) {
      const Span columns = window_span(column, window, x_extent.width);
      const uint32_t c = pool_pixel(hn::ScalableTag<float>(), 0, x, x_extent, window, rows, columns, y, argmax);
      pool_pixel(hn::CappedTag<float, 1>(), c, x, x_extent, window, rows, columns, y, argmax);
      y += y_extent.channels;
      if (argmax != nullptr) argmax += y_extent.channels;
    }
  }
}

template <class D>
HWY_ATTR uint32_t unpool_pixel(D d, uint32_t c, const float* dy, const uint8_t* argmax, const Extent& x_extent,
                               const Window& window, Span rows, Span columns, bool overlap, float* dx) {
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint8_t, D> du8;
  const auto lanes = static_cast<uint32_t>(hn::Lanes(d));
  for (; c + lanes <= x_extent.channels; c += lanes) {
    const auto gradient = hn::LoadU(d, dy + c);
    const auto where = hn::PromoteTo(di, hn::LoadU(du8, argmax + c));
    for (uint32_t row = rows.begin; row < rows.end; ++row) {
      for (uint32_t column = columns.begin; column < columns.end; ++column) {
        const auto here = hn::Set(di, static_cast<int32_t>((row - rows.begin + rows.first) * window.kernel + column -
                                                           columns.begin + columns.first));
        float* to = dx + (uint64_t{row} * x_extent.width + column) * x_extent.channels + c;
        const auto part = hn::IfThenElseZero(hn::RebindMask(d, hn::Eq(where, here)), gradient);
        hn::StoreU(overlap ? hn::Add(hn::LoadU(d, to), part) : part, d, to);
      }
    }
  }
  return c;
}

HWY_ATTR void max_unpool(const float* dy, const uint8_t* argmax, const Extent& x_extent, const Window& window,
                         const Extent& y_extent, float* dx) {
  const bool overlap = window.stride < window.kernel;
  const bool covered = window.stride == window.kernel && window.padding == 0 &&
                       y_extent.height * window.kernel == x_extent.height &&
                       y_extent.width * window.kernel == x_extent.width;
  if (!covered) std::memset(dx, 0, x_extent.elements() * sizeof(float));
  for (uint32_t row = 0; row < y_extent.height; ++row) {
    const Span rows = window_span(row, window, x_extent.height);
    for (uint32_t column = 0; column < y_extent.width; ++column) {
      const Span columns = window_span(column, window, x_extent.width);
      const uint32_t c =
          unpool_pixel(hn::ScalableTag<float>(), 0, dy, argmax, x_extent, window, rows, columns, overlap, dx);
      unpool_pixel(hn::CappedTag<float, 1>(), c, dy, argmax, x_extent, window, rows, columns, overlap, dx);
      dy += y_extent.channels;
      argmax += y_extent.channels;
    }
  }
}

HWY_ATTR void add_to(float* y, const float* x, uint64_t elements) {
  const hn::ScalableTag<float> d;
  const uint64_t lanes = hn::Lanes(d);
  uint64_t i = 0;
  for (; i + lanes <= elements; i += lanes) hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  for (; i < elements; ++i) y[i] += x[i];
}

// Rows are summed in blocks, and the blocks then: the error grows with 128 + rows / 128 instead of rows.
HWY_ATTR void column_sums(const float* x, uint64_t rows, uint64_t columns, uint64_t begin, uint64_t end, bool accumulate,
                          float* sums) {
  constexpr uint64_t block = 128;
  const hn::ScalableTag<float> d;
  const uint64_t lanes = hn::Lanes(d);
  uint64_t column = begin;
  for (; column + lanes <= end; column += lanes) {
    auto total = hn::Zero(d);
    for (uint64_t first = 0; first < rows; first += block) {
      auto sum = hn::Zero(d);
      for (uint64_t row = first; row < std::min(rows, first + block); ++row)
        sum = hn::Add(sum, hn::LoadU(d, x + row * columns + column));
      total = hn::Add(total, sum);
    }
    if (accumulate) total = hn::Add(total, hn::LoadU(d, sums + column));
    hn::StoreU(total, d, sums + column);
  }
  for (; column < end; ++column) {
    float total = 0;
    for (uint64_t first = 0; first < rows; first += block) {
      float sum = 0;
      for (uint64_t row = first; row < std::min(rows, first + block); ++row) sum += x[row * columns + column];
      total += sum;
    }
    sums[column] = accumulate ? sums[column] + total : total;
  }
}

// Four by four at a time: rows of x are read, and rows of y written, in whole 16-byte pieces.
HWY_ATTR void transpose(const float* x, uint64_t rows, uint64_t columns, uint64_t x_stride, float* y, uint64_t y_stride) {
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<double, 2> dd;
  const uint64_t whole_rows = rows & ~uint64_t{3}, whole_columns = columns & ~uint64_t{3};
  constexpr uint64_t tile = 32;
  for (uint64_t row0 = 0; row0 < whole_rows; row0 += tile) {
    for (uint64_t column = 0; column < whole_columns; column += 4) {
      for (uint64_t row = row0; row < std::min(whole_rows, row0 + tile); row += 4) {
        const float* from = x + row * x_stride + column;
        const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + x_stride), c = hn::LoadU(d, from + 2 * x_stride),
                   e = hn::LoadU(d, from + 3 * x_stride);
        const auto ab_low = hn::BitCast(dd, hn::InterleaveLower(d, a, b)),
                   ab_high = hn::BitCast(dd, hn::InterleaveUpper(d, a, b)),
                   ce_low = hn::BitCast(dd, hn::InterleaveLower(d, c, e)),
                   ce_high = hn::BitCast(dd, hn::InterleaveUpper(d, c, e));
        float* to = y + column * y_stride + row;
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dd, ab_low, ce_low)), d, to);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dd, ab_low, ce_low)), d, to + y_stride);
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dd, ab_high, ce_high)), d, to + 2 * y_stride);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dd, ab_high, ce_high)), d, to + 3 * y_stride);
      }
    }
  }
#else
  const uint64_t whole_rows = 0, whole_columns = 0;
#endif
  for (uint64_t row = 0; row < rows; ++row)
    for (uint64_t column = row < whole_rows ? whole_columns : 0; column < columns; ++column)
      y[column * y_stride + row] = x[row * x_stride + column];
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::onednn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::onednn {

LT_HIGHWAY_TABLE(MaxPool*, max_pool_table, max_pool);
LT_HIGHWAY_TABLE(MaxUnpool*, max_unpool_table, max_unpool);
LT_HIGHWAY_TABLE(AddTo*, add_to_table, add_to);
LT_HIGHWAY_TABLE(ColumnSums*, column_sums_table, column_sums);
LT_HIGHWAY_TABLE(Transpose*, transpose_table, transpose);

}  // namespace lt::cpu::onednn
#endif
