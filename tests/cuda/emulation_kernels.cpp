// Kernels that the emulation is tested with: good ones, and ones with a planted bug each, by the same words as the
// backend's.
#include "tests/cuda/emulation_kernels.h"

#include "backends/cuda/kernels/device.h"

namespace lt::cuda {

LT_KERNEL(test_indices, TestArguments, 1024) {
  const uint32_t block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const uint32_t i = block * blockDim.x + threadIdx.x;
  if (i < a.elements) a.y[i] += static_cast<float>(i + 1);
}

// y[block] = the sum of the block's elements, by halves.
template <bool first_barrier, bool inner_barrier>
LT_DEVICE void block_sum(const TestArguments& a) {
  LT_SHARED(partial, float[256]);
  const uint32_t t = threadIdx.x;
  partial[t] = a.x[blockIdx.x * blockDim.x + t];
  if (first_barrier) __syncthreads();
  for (uint32_t width = blockDim.x / 2; width > 0; width /= 2) {
    if (t < width) partial[t] += partial[t + width];
    if (inner_barrier) __syncthreads();
  }
  if (t == 0) a.y[blockIdx.x] = partial[0];
}
LT_KERNEL(test_sum, TestArguments, 256) { block_sum<true, true>(a); }
LT_KERNEL(test_sum_no_first_barrier, TestArguments, 256) { block_sum<false, true>(a); }
LT_KERNEL(test_sum_no_inner_barrier, TestArguments, 256) { block_sum<true, false>(a); }

LT_KERNEL(test_uninitialized, TestArguments, 32) {
  LT_SHARED(partial, float[32]);
  if (threadIdx.x != 0) partial[threadIdx.x] = a.x[threadIdx.x];
  __syncthreads();
  if (threadIdx.x == 0) {
    float largest = 0;
    for (uint32_t i = 0; i < 32; ++i) largest = fmaxf(largest, partial[i]);
    a.y[0] = largest;
  }
}

LT_KERNEL(test_write_past_end, TestArguments, 64) {
  LT_SHARED(partial, float[63]);
  float* place = partial;
  place[threadIdx.x] = 1;
}

LT_KERNEL(test_read_past_end, TestArguments, 32) {
  LT_SHARED(partial, float[32]);
  const float* place = partial;
  partial[threadIdx.x] = 1;
  __syncthreads();
  a.y[threadIdx.x] = place[threadIdx.x + 1];
}

LT_KERNEL(test_dynamic, TestArguments, 256) {
  float* partial = dynamic_shared<float>();
  partial[threadIdx.x] = a.x[threadIdx.x];
  __syncthreads();
  a.y[threadIdx.x] = partial[blockDim.x - 1 - threadIdx.x];
}

LT_KERNEL(test_divergent_barrier, TestArguments, 64) {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    __syncthreads();
}

LT_KERNEL(test_half_a_warp_waits, TestArguments, 64) {
  if (threadIdx.x < 16) __syncwarp();
  __syncthreads();
}

LT_KERNEL(test_exit_before_barrier, TestArguments, 64) {
  if (threadIdx.x >= a.elements) return;
  __syncthreads();
  a.y[threadIdx.x] = 1;
}

LT_KERNEL(test_warps, TestArguments, 64) {
  const uint32_t lane = threadIdx.x % 32;
  float sum = a.x[threadIdx.x];
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  const uint32_t odd = __ballot_sync(~0u, lane % 2 == 1);
  const float next = __shfl_down_sync(~0u, a.x[threadIdx.x], 1, 8), previous = __shfl_up_sync(~0u, a.x[threadIdx.x], 1, 8);
  const float third = __shfl_sync(~0u, a.x[threadIdx.x], 3, 8);
  float* y = a.y + threadIdx.x * 5;
  y[0] = sum;
  y[1] = static_cast<float>(odd);
  y[2] = next;
  y[3] = previous;
  y[4] = third;
}

LT_KERNEL(test_two_masks, TestArguments, 32) {
  const unsigned mask = threadIdx.x < 8 ? 0xffu : 0xffffff00u;
  a.y[threadIdx.x] = static_cast<float>(__reduce_add_sync(mask, threadIdx.x));
}

LT_KERNEL(test_absent_lane, TestArguments, 32) { a.y[threadIdx.x] = __shfl_sync(~0u, 1.0f, 31); }

LT_KERNEL(test_ticket, TestArguments, 64) {
  if (threadIdx.x == 0) a.y[atomicAdd(a.count, 1u)] = static_cast<float>(blockIdx.x);
}

// Different threads of different blocks write one place.
LT_KERNEL(test_blocks_race, TestArguments, 32) {
  if (threadIdx.x == blockIdx.x) a.y[0] = static_cast<float>(blockIdx.x);
}

LT_KERNEL(test_cluster, TestArguments, 32) {
  LT_SHARED(mine, float[32]);
  const auto cluster = cooperative_groups::this_cluster();
  mine[threadIdx.x] = static_cast<float>(cluster.block_rank() * 32 + threadIdx.x);
  cluster.sync();
  const float* theirs = cluster.map_shared_rank(&mine[0], (cluster.block_rank() + 1) % cluster.num_blocks());
  a.y[blockIdx.x * 32 + threadIdx.x] = theirs[threadIdx.x];
  if (a.elements != 0) cluster.sync();
}

LT_KERNEL(test_condition, TestArguments, 1) { cudaGraphSetConditional(7, a.elements); }

}  // namespace lt::cuda
