// Passes over floats around oneDNN's products: max-pool and its way back on one sample, sums and a transpose. Any thread,
// on memory of its own; nothing is allocated.
#pragma once

#include "backends/cpu/highway/targets.h"
#include "src/op.h"

namespace lt::cpu::onednn {

// y and, where not null, argmax of one sample, [row][column][channel]; see op.h for what argmax means. NaN wins its window.
using MaxPool = void(const float* x, const Extent& x_extent, const Window& window, const Extent& y_extent, float* y,
                     uint8_t* argmax);
// dx of one sample, all of it written.
using MaxUnpool = void(const float* dy, const uint8_t* argmax, const Extent& x_extent, const Window& window,
                       const Extent& y_extent, float* dx);
using AddTo = void(float* y, const float* x, uint64_t elements);
// sums[column] = (accumulate ? sums[column] : 0) + the sum over rows, for columns [begin, end).
using ColumnSums = void(const float* x, uint64_t rows, uint64_t columns, uint64_t begin, uint64_t end, bool accumulate,
                        float* sums);
// y[column][row] = x[row][column]; strides in elements.
using Transpose = void(const float* x, uint64_t rows, uint64_t columns, uint64_t x_stride, float* y, uint64_t y_stride);

extern const highway::PerTarget<MaxPool*> max_pool_table;
extern const highway::PerTarget<MaxUnpool*> max_unpool_table;
extern const highway::PerTarget<AddTo*> add_to_table;
extern const highway::PerTarget<ColumnSums*> column_sums_table;
extern const highway::PerTarget<Transpose*> transpose_table;

}  // namespace lt::cpu::onednn
