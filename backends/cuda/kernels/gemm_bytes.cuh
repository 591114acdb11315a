// What happens to finished sums of bytes: bias, residual, ReLU and the way into a byte, by the arithmetic of
// src/base/int8.h. A thread has the same gemm_group columns of several rows, eight channels of as many pixels.
#pragma once

#include "backends/cuda/kernels/gemm_tile.cuh"
#include "backends/cuda/kernels/groups.cuh"
#include "src/base/int8.h"

namespace lt::cuda {

// sums: the tile's, [row][column] in shared memory. The residual may be c: each of its bytes is read by the thread that
// then overwrites it.
template <uint32_t tile_m, uint32_t tile_n>
LT_DEVICE void finish_bytes(const GemmResult& r, uint32_t first_m, uint32_t first_n, const int32_t* sums) {
  constexpr uint32_t groups = tile_n / gemm_group;
  static_assert(gemm_threads % groups == 0 && gemm_group == group_elements);
  const uint32_t of_tile = threadIdx.x % groups * gemm_group, column = first_n + of_tile;
  if (column >= r.n) return;
  const uint32_t count = min(r.n - column, gemm_group);
  const bool wide = r.n % gemm_group == 0;
  const auto zero = static_cast<uint8_t>(r.bytes.zero);
  const auto residual_zero = static_cast<int32_t>(r.bytes.residual_zero);
  const auto* residual = static_cast<const uint8_t*>(r.residual);
  const float residual_factor = residual != nullptr ? *r.bytes.residual_factor : 0;
  float factor[gemm_group] = {};
  int32_t bias[gemm_group] = {};
  LT_UNROLL
  for (uint32_t i = 0; i < gemm_group; ++i)
    if (i < count) factor[i] = r.bytes.factor[column + i], bias[i] = r.bytes.bias[column + i];

  for (uint32_t row = threadIdx.x / groups; row < tile_m && first_m + row < r.m; row += gemm_threads / groups) {
    const uint64_t at = uint64_t{first_m + row} * r.n + column;
    const int32_t* const from = sums + row * sums_stride<tile_n> + of_tile;
    uint8_t y[gemm_group] = {};
    if (residual != nullptr) {
      uint8_t others[gemm_group] = {};
      if (wide) {
        load_bytes(residual + at, others);
      } else {
        LT_UNROLL
        for (uint32_t i = 0; i < gemm_group; ++i)
          if (i < count) others[i] = residual[at + i];
      }
      LT_UNROLL
      for (uint32_t i = 0; i < gemm_group; ++i)
        y[i] = requantised(from[i] + bias[i], factor[i], others[i] - residual_zero, residual_factor, zero);
    } else {
      LT_UNROLL
      for (uint32_t i = 0; i < gemm_group; ++i) y[i] = requantised(from[i] + bias[i], factor[i], zero);
    }
    uint8_t* const to = static_cast<uint8_t*>(r.c) + at;
    if (wide) {
      store_bytes(to, y);
    } else {
      LT_UNROLL
      for (uint32_t i = 0; i < gemm_group; ++i)
        if (i < count) to[i] = y[i];
    }
  }
}

}  // namespace lt::cuda
