// Where a thread stands in rows of elements: see Rows in elementwise.h.
#pragma once

#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/elementwise.h"

namespace lt::cuda {

class RowWalk {
 public:
  LT_DEVICE explicit RowWalk(const Rows& rows) : shift_(rows.row_shift) {}
  // The same for all threads of a block.
  LT_DEVICE uint32_t first_row() const { return blockIdx.y * rows_of_block(); }
  LT_DEVICE uint32_t row_step() const { return gridDim.y * rows_of_block(); }
  // Of this thread.
  LT_DEVICE uint32_t row_of_block() const { return threadIdx.x >> shift_; }
  LT_DEVICE uint32_t place_of_block() const { return threadIdx.x & ((1u << shift_) - 1); }
  LT_DEVICE uint32_t first_item() const { return (blockIdx.x << shift_) + place_of_block(); }
  LT_DEVICE uint32_t item_step() const { return gridDim.x << shift_; }

 private:
  LT_DEVICE uint32_t rows_of_block() const { return elementwise_threads >> shift_; }
  uint32_t shift_;
};

}  // namespace lt::cuda
