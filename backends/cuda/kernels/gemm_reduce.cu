// Adds up the parts of products that were cut along k, in their order, and finishes the result. A thread a group.
#include "backends/cuda/kernels/gemm_result.cuh"

namespace lt::cuda {

LT_KERNEL(gemm_reduce, GemmReduceArguments, 128) {
  const GemmResult& r = a.result;
  const uint32_t groups = (r.n + gemm_group - 1) / gemm_group, rows = r.pooled != 0 ? r.m / 4 : r.m;
  const uint64_t index = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const auto row = static_cast<uint32_t>(index / groups), column = static_cast<uint32_t>(index % groups) * gemm_group;
  if (row >= rows) return;
  const uint64_t part_elements = uint64_t{r.m} * r.n;
  finish_group(r, row, column, [&](uint32_t product_row, GroupValues& values) {
    const float* from = a.partials + uint64_t{product_row} * r.n + column;
    LT_UNROLL
    for (uint32_t j = 0; j < gemm_group; ++j) values[j] = 0;
    if (r.n % gemm_group == 0) {
      for (uint32_t part = 0; part < a.parts; ++part, from += part_elements) {
        const float4 low = reinterpret_cast<const float4*>(from)[0], high = reinterpret_cast<const float4*>(from)[1];
        const float four[gemm_group] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
        LT_UNROLL
        for (uint32_t j = 0; j < gemm_group; ++j) values[j] += four[j];
      }
    } else {
      for (uint32_t part = 0; part < a.parts; ++part, from += part_elements) {
        LT_UNROLL
        for (uint32_t j = 0; j < gemm_group; ++j)
          if (column + j < r.n) values[j] += from[j];
      }
    }
  });
}

}  // namespace lt::cuda
