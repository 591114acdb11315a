// How many threads an elementwise kernel gets, and which of its kernels serves which types.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "backends/cuda/driver.h"
#include "src/base/checked.h"

namespace lt::cuda {

inline constexpr uint32_t most_grid_rows = 65535;  // of a grid's second side

constexpr uint32_t grid_blocks(uint64_t items, uint64_t of_block) {
  return static_cast<uint32_t>(divide_up(items, of_block));
}

// For `rows` rows of `items` items, a thread each.
constexpr Rows make_rows(uint32_t rows, uint32_t items) {
  return {rows, std::clamp(static_cast<uint32_t>(std::bit_width(std::max(items, 1u) - 1)), 5u, 8u)};
}
constexpr Grid rows_grid(const Rows& rows, uint32_t items) {
  const uint32_t rows_of_block = elementwise_threads >> rows.row_shift;
  return {std::max(grid_blocks(items, 1u << rows.row_shift), 1u),
          std::min(grid_blocks(rows.rows, rows_of_block), most_grid_rows)};
}

// One of four kernels of the same argument: that of what is read and what is written.
template <KernelId f32_f32, KernelId f32_bf16, KernelId bf16_f32, KernelId bf16_bf16>
Status launch_typed(const Launcher& launcher, Grid grid, const typename KernelArguments<f32_f32>::type& arguments,
                    DType from, DType to) {
  const bool from_bf16 = from == DType::bf16, to_bf16 = to == DType::bf16;
  if (from_bf16 && to_bf16) return launcher.launch<bf16_bf16>(grid, elementwise_threads, arguments);
  if (from_bf16) return launcher.launch<bf16_f32>(grid, elementwise_threads, arguments);
  if (to_bf16) return launcher.launch<f32_bf16>(grid, elementwise_threads, arguments);
  return launcher.launch<f32_f32>(grid, elementwise_threads, arguments);
}

}  // namespace lt::cuda
