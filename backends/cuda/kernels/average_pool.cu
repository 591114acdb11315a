// The mean over all pixels, channel by channel. A thread has a channel of a row, so that a warp reads whole lines.
#include "backends/cuda/kernels/elementwise.h"
#include "backends/cuda/kernels/rows.cuh"

namespace lt::cuda {

// Sums that are added to in turns: loads need not wait for each other, and long sums lose fewer digits.
constexpr uint32_t average_pool_sums = 4;

template <class X, class Y>
LT_DEVICE void average_pool(const AveragePoolArguments& a) {
  const RowWalk walk(a.rows);
  for (uint32_t first = walk.first_row(); first < a.rows.rows; first += walk.row_step()) {
    const uint32_t row = first + walk.row_of_block();
    if (row >= a.rows.rows) continue;
    const X* x = static_cast<const X*>(a.x) + uint64_t{row} * a.pixels * a.channels;
    for (uint32_t channel = walk.first_item(); channel < a.channels; channel += walk.item_step()) {
      float sums[average_pool_sums] = {};
      for (uint32_t pixel = 0; pixel < a.pixels; pixel += average_pool_sums) {
        LT_UNROLL
        for (uint32_t i = 0; i < average_pool_sums; ++i)
          if (pixel + i < a.pixels) sums[i] += to_float(x[uint64_t{pixel + i} * a.channels + channel]);
      }
      const float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
      store(static_cast<Y*>(a.y) + (uint64_t{row} * a.channels + channel), sum / static_cast<float>(a.pixels));
    }
  }
}

LT_KERNEL(average_pool_f32_f32, AveragePoolArguments, elementwise_threads) { average_pool<float, float>(a); }
LT_KERNEL(average_pool_f32_bf16, AveragePoolArguments, elementwise_threads) { average_pool<float, Bf16>(a); }
LT_KERNEL(average_pool_bf16_f32, AveragePoolArguments, elementwise_threads) { average_pool<Bf16, float>(a); }
LT_KERNEL(average_pool_bf16_bf16, AveragePoolArguments, elementwise_threads) { average_pool<Bf16, Bf16>(a); }

}  // namespace lt::cuda
