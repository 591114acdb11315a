// The blocks of a cluster, or a block by itself: devices before compute capability 9.0 have no clusters, and kernels for
// them are launched without.
#pragma once

#include "backends/cuda/kernels/device.h"

#if defined(__CUDACC__)
#include <cooperative_groups.h>
#endif

namespace lt::cuda {

class Cluster {
 public:
  // `blocks` of the launch.
  LT_DEVICE explicit Cluster(uint32_t blocks) : blocks_(blocks) {}
  LT_DEVICE uint32_t blocks() const { return blocks_; }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  LT_DEVICE uint32_t rank() const { return 0; }
  LT_DEVICE void sync() const { __syncthreads(); }
  template <class T>
  LT_DEVICE T* of(uint32_t, T* mine) const {
    return mine;
  }
#else
  LT_DEVICE uint32_t rank() const { return blocks_ == 1 ? 0 : cooperative_groups::this_cluster().block_rank(); }
  // All threads of all blocks have come here, and see what each of them wrote into the others' shared memory.
  LT_DEVICE void sync() const {
    if (blocks_ == 1)
      __syncthreads();
    else
      cooperative_groups::this_cluster().sync();
  }
  // What `mine` is in the block of that rank.
  template <class T>
  LT_DEVICE T* of(uint32_t rank, T* mine) const {
    return blocks_ == 1 ? mine : cooperative_groups::this_cluster().map_shared_rank(mine, rank);
  }
#endif

 private:
  uint32_t blocks_;
};

}  // namespace lt::cuda
