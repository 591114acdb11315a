// Rows of x that steps share (Op::rows): each different one is multiplied once, in front of a direction's steps, which take
// their gates from there; backward, the steps' gradients are added up by row before they are multiplied. Rows of gates and
// of sums lie stride() floats apart, in the caller's scratch. Sums run in the order of blocks, steps and rows, by columns:
// the number of parts does not show. Built by one thread, then used by all, each on columns or rows of its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "backends/cpu/highway/recurrent_cell.h"
#include "backends/cpu/highway/recurrent_products.h"
#include "backends/cpu/highway/recurrent_samples.h"

namespace lt::cpu::highway {

class SharedRows {
 public:
  static uint64_t stride(const RecurrentShape& shape) { return align_up(shape.gate_columns(), 16); }
  static uint64_t floats(const RecurrentShape& shape) {
    return shape.shared_rows ? uint64_t{shape.steps} * shape.samples * stride(shape) : 0;
  }

  // rows: null where no rows are shared.
  SharedRows(const RecurrentShape& shape, const SampleOrder& order, const int32_t* rows)
      : order_(order), rows_(rows), stride_(stride(shape)) {
    if (rows != nullptr) count_ = static_cast<uint32_t>(rows[uint64_t{shape.steps} * order.samples()]);
  }
  bool any() const { return rows_ != nullptr; }
  uint32_t count() const { return count_; }
  uint64_t stride() const { return stride_; }
  // Which of them a step has.
  uint64_t number(bool reverse, uint32_t row, uint32_t step) const {
    const uint64_t time = order_.time(reverse, row, step);
    return static_cast<uint64_t>(rows_[time * order_.samples() + order_.sample(row)]);
  }

  // gates = their products, in some columns, of some rows of a step. `gates` is the step's first row's.
  void take(const float* products, const GateColumnList& columns, bool reverse, uint32_t step, Range rows, float* gates,
            uint64_t gates_stride) const {
    for (uint32_t row = rows.begin; row < rows.end; ++row) {
      const float* const from = products + number(reverse, row, step) * stride_;
      if (row + 1 < rows.end) fetch(products + number(reverse, row + 1, step) * stride_, columns);
      for (const GateColumns& piece : columns)
        std::memcpy(gates + row * gates_stride + piece.x_column, from + piece.columns.begin,
                    piece.columns.size() * sizeof(float));
    }
  }

  // sums += a block's gradients of the gates, in these columns.
  void add(const StepBlock& block, bool reverse, Range columns, const float* dgates, uint64_t dgates_stride,
           AddRow* add_row, float* sums) const {
    for (uint32_t step = block.first(); step < block.last(); ++step)
      for (uint32_t row = 0; row < order_.alive(step); ++row)
        add_row(dgates + (block.begin(step) + row) * dgates_stride + columns.begin, columns.size(),
                sums + number(reverse, row, step) * stride_ + columns.begin);
  }
  void clear(Range rows, float* sums) const { std::fill_n(sums + rows.begin * stride_, rows.size() * stride_, 0.0f); }

 private:
  static void fetch(const float* row, const GateColumnList& columns) {
    constexpr uint32_t line_floats = 16;
    for (const GateColumns& piece : columns)
      for (uint32_t column = piece.columns.begin; column < piece.columns.end; column += line_floats)
        __builtin_prefetch(row + column);
  }

  const SampleOrder& order_;
  const int32_t* rows_;
  uint32_t count_ = 0;
  uint64_t stride_;
};

}  // namespace lt::cpu::highway
