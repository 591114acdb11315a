// What stands behind a strip's sums: bias, residual, ReLU and the way into bytes, by the arithmetic of src/base/int8.h; and
// pools of bytes. Any thread may call, on memory of its own.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/targets.h"

namespace lt::cpu::int8 {

struct Finish {
  const int32_t* sums;
  uint64_t sums_row;
  uint32_t rows, columns;
  const float* factor;  // of sums; with a residual already times its steps
  const int32_t* bias;
  uint8_t* y;
  const uint8_t* residual;  // null: none; rows as y's. May be y.
  uint64_t y_row;
  float residual_factor;  // times its steps
  uint8_t zero, residual_zero;
};
using FinishFunction = void(const Finish& finish);
extern const highway::PerTarget<FinishFunction*> finish_table;

// y[i] = the largest of `count` lines' bytes.
using MaximumFunction = void(const uint8_t* const* lines, uint32_t count, uint64_t bytes, uint8_t* y);
extern const highway::PerTarget<MaximumFunction*> maximum_table;

// sums[i] of a channel's bytes over all pixels.
using ColumnSumFunction = void(const uint8_t* x, uint64_t pixels, uint64_t channels, uint64_t first, uint64_t count,
                               int32_t* sums);
extern const highway::PerTarget<ColumnSumFunction*> column_sum_table;

}  // namespace lt::cpu::int8
