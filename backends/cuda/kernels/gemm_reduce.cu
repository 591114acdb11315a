// Adds up the parts of products that were cut along k and finishes the result. `lanes` threads next to each other share a
// group: each adds up every lanes-th part, in their order, then their sums are added in pairs, always the same ones.
#include "backends/cuda/kernels/gemm_result.cuh"

namespace lt::cuda {

LT_KERNEL(gemm_reduce, GemmReduceArguments, 128) {
  const GemmResult& r = a.result;
  const uint32_t groups = (r.n + gemm_group - 1) / gemm_group, rows = r.pooled != 0 ? r.m / 4 : r.m;
  const uint64_t index = (uint64_t{blockIdx.x} * blockDim.x + threadIdx.x) / a.lanes;
  const auto row = static_cast<uint32_t>(index / groups), column = static_cast<uint32_t>(index % groups) * gemm_group;
  const uint32_t lane = threadIdx.x % a.lanes;
  const uint64_t part_elements = uint64_t{r.m} * r.n;
  const auto sums = [&](uint32_t product_row, GroupValues& values) {
    LT_UNROLL
    for (uint32_t j = 0; j < gemm_group; ++j) values[j] = 0;
    if (row < rows) {
      const float* from = a.partials + lane * part_elements + uint64_t{product_row} * r.n + column;
      const uint64_t step = a.lanes * part_elements;
      if (r.n % gemm_group == 0) {
        for (uint32_t part = lane; part < a.parts; part += a.lanes, from += step) {
          const float4 low = reinterpret_cast<const float4*>(from)[0], high = reinterpret_cast<const float4*>(from)[1];
          const float eight[gemm_group] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
          LT_UNROLL
          for (uint32_t j = 0; j < gemm_group; ++j) values[j] += eight[j];
        }
      } else {
        for (uint32_t part = lane; part < a.parts; part += a.lanes, from += step) {
          LT_UNROLL
          for (uint32_t j = 0; j < gemm_group; ++j)
            if (column + j < r.n) values[j] += from[j];
        }
      }
    }
    for (uint32_t other = a.lanes / 2; other > 0; other /= 2) {  // all lanes of the warp, finished rows or not
      LT_UNROLL
      for (uint32_t j = 0; j < gemm_group; ++j) values[j] += __shfl_xor_sync(~0u, values[j], static_cast<int>(other));
    }
  };
  finish_group(r, row, column, row < rows && lane == 0, sums);
}

}  // namespace lt::cuda
