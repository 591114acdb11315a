// A block's work: one tile of the result, in steps of gemm_step_bytes along k. Three steps' operands lie in shared memory,
// two of them on their way while the block computes with the third; then the sums take their place.
//
// As nvcc 13.0 compiles them for sm_90a, nothing spilled: registers of a thread for the tiles 64x32, 64x64, 128x64 up to
// 80, 128, 168 (f32), 64, 80, 156 (tf32), 56, 72, 128 (bf16); shared memory up to 23, 30, 45 KiB. A step of a 64x64 tile
// forward is 627 instructions a warp (512 of them multiply-adds), 158 (16 mma) and 90 (16 mma of twice the k).
#pragma once

#include "backends/cuda/kernels/gemm_bytes.cuh"
#include "backends/cuda/kernels/gemm_result.cuh"
#include "backends/cuda/kernels/gemm_tile.cuh"

namespace lt::cuda {

inline constexpr uint32_t gemm_stages = 3;

template <uint32_t bytes>
struct alignas(128) GemmMemory {
  std::byte all[bytes];
};

template <GemmPrecision precision, uint32_t tile_m, uint32_t tile_n, bool a_rows, bool b_rows>
struct TileOf {
  using type = MmaTile<precision, tile_m, tile_n, a_rows, b_rows>;
};
template <uint32_t tile_m, uint32_t tile_n, bool a_rows, bool b_rows>
struct TileOf<GemmPrecision::f32, tile_m, tile_n, a_rows, b_rows> {
  using type = FmaTile<tile_m, tile_n, a_rows, b_rows>;
};

// Leaves the tile's sums in memory, [row][column].
template <GemmKind kind, GemmPrecision precision, uint32_t tile_m, uint32_t tile_n, uint32_t known_copy>
LT_DEVICE void gemm_sums(const GemmArguments& a, std::byte* memory) {
  using T = GemmElement<precision>;
  using Kinds = Operands<kind, T, tile_m, tile_n, known_copy>;
  using A = typename Kinds::A;
  using B = typename Kinds::B;
  constexpr uint32_t stage_bytes = A::bytes + B::bytes;

  const uint32_t begin = min(blockIdx.z * a.part_k, a.k), end = min(begin + a.part_k, a.k);
  const uint32_t steps = (end - begin + step_k<T> - 1) / step_k<T>;
  const A operand_a(a, blockIdx.x * tile_m);
  const B operand_b(a, blockIdx.y * tile_n);
  using Tile = typename TileOf<precision, tile_m, tile_n, Kinds::a_rows, Kinds::b_rows>::type;
  Tile tile;

  const auto load = [&](uint32_t step) {
    if (step < steps) {
      std::byte* stage = memory + step % gemm_stages * stage_bytes;
      operand_a.load(stage, begin + step * step_k<T>);
      operand_b.load(stage + A::bytes, begin + step * step_k<T>);
    }
    copy_commit();
  };
  for (uint32_t step = 0; step + 1 < gemm_stages; ++step) load(step);
  for (uint32_t step = 0; step < steps; ++step) {
    copy_wait<static_cast<int>(gemm_stages) - 2>();
    __syncthreads();  // the step's operands are there for all, and all have done with those of the step before
    load(step + gemm_stages - 1);
    const std::byte* stage = memory + step % gemm_stages * stage_bytes;
    tile.step(stage, stage + A::bytes);
  }
  copy_wait<0>();
  __syncthreads();
  tile.deposit(reinterpret_cast<typename Tile::Sum*>(memory));
  __syncthreads();
}

// Finishes the tile whose sums lie in shared memory, or writes them to its part's partial sums.
template <uint32_t tile_m, uint32_t tile_n>
LT_DEVICE void finish_floats(const GemmArguments& a, uint32_t first_m, uint32_t first_n, const float* sums) {
  const GemmResult& r = a.result;
  constexpr uint32_t groups = tile_n / gemm_group;
  if (a.partials != nullptr) {
    for (uint32_t i = threadIdx.x; i < tile_m * groups; i += gemm_threads) {
      const uint32_t row = i / groups, column = i % groups * gemm_group;
      if (first_m + row >= r.m || first_n + column >= r.n) continue;
      const float* from = sums + row * sums_stride<tile_n> + column;
      float* to = a.partials + (uint64_t{blockIdx.z} * r.m + first_m + row) * r.n + first_n + column;
      if (r.n % gemm_group == 0) {
        *reinterpret_cast<float4*>(to) = *reinterpret_cast<const float4*>(from);
        *reinterpret_cast<float4*>(to + 4) = *reinterpret_cast<const float4*>(from + 4);
      } else {
        LT_UNROLL
        for (uint32_t j = 0; j < gemm_group; ++j)
          if (first_n + column + j < r.n) to[j] = from[j];
      }
    }
    return;
  }
  const uint32_t window = r.pooled != 0 ? 4 : 1;
  for (uint32_t i = threadIdx.x; i < tile_m / window * groups; i += gemm_threads) {
    const uint32_t row = first_m / window + i / groups, column = first_n + i % groups * gemm_group;
    if (row * window >= r.m || column >= r.n) continue;
    finish_group(r, row, column, true, [&](uint32_t product_row, GroupValues& values) {
      const float* from = sums + (product_row - first_m) * sums_stride<tile_n> + (column - first_n);
      LT_UNROLL
      for (uint32_t j = 0; j < gemm_group; ++j) values[j] = from[j];
    });
  }
}

// The grid: tiles of m, tiles of n, parts of k.
template <GemmKind kind, GemmPrecision precision, uint32_t tile_m, uint32_t tile_n>
LT_DEVICE void gemm(const GemmArguments& a) {
  using T = GemmElement<precision>;
  using Kinds = Operands<kind, T, tile_m, tile_n, 16>;
  constexpr uint32_t stages_bytes = gemm_stages * (Kinds::A::bytes + Kinds::B::bytes);
  constexpr uint32_t sums_bytes = tile_m * sums_stride<tile_n> * sizeof(float);
  constexpr uint32_t memory_bytes = stages_bytes > sums_bytes ? stages_bytes : sums_bytes;
  static_assert(memory_bytes <= 48 * 1024);
  LT_SHARED(memory, GemmMemory<memory_bytes>);
  if (a.known_copy == 16)
    gemm_sums<kind, precision, tile_m, tile_n, 16>(a, memory.all);
  else if (a.known_copy == 8)
    gemm_sums<kind, precision, tile_m, tile_n, 8>(a, memory.all);
  else if constexpr (precision != GemmPrecision::int8)  // whose operands are laid out for it
    gemm_sums<kind, precision, tile_m, tile_n, 0>(a, memory.all);

  const uint32_t first_m = blockIdx.x * tile_m, first_n = blockIdx.y * tile_n;
  const GemmResult& r = a.result;
  if constexpr (precision == GemmPrecision::int8) {
    finish_bytes<tile_m, tile_n>(r, first_m, first_n, reinterpret_cast<const int32_t*>(memory.all));
  } else {
    finish_floats<tile_m, tile_n>(a, first_m, first_n, reinterpret_cast<const float*>(memory.all));
  }
}

}  // namespace lt::cuda

// One kernel a kind and tile, such as gemm_forward_f32_128x64.
#define LT_GEMM_KERNEL(kind, precision, tile, m, n)                                              \
  LT_KERNEL(gemm_##kind##_##precision##_##tile, ::lt::cuda::GemmArguments, 128) {                \
    ::lt::cuda::gemm<::lt::cuda::GemmKind::kind, ::lt::cuda::GemmPrecision::precision, m, n>(a); \
  }
#define LT_GEMM_KERNELS(precision)                    \
  LT_GEMM_KERNEL(forward, precision, 128x64, 128, 64) \
  LT_GEMM_KERNEL(forward, precision, 64x64, 64, 64)   \
  LT_GEMM_KERNEL(forward, precision, 64x32, 64, 32)   \
  LT_GEMM_KERNEL(dx, precision, 128x64, 128, 64)      \
  LT_GEMM_KERNEL(dx, precision, 64x64, 64, 64)        \
  LT_GEMM_KERNEL(dx, precision, 64x32, 64, 32)        \
  LT_GEMM_KERNEL(weights, precision, 128x64, 128, 64) \
  LT_GEMM_KERNEL(weights, precision, 64x64, 64, 64)   \
  LT_GEMM_KERNEL(weights, precision, 64x32, 64, 32)
