// cuDNN's graph interface as the CUDA backend calls it, computed in plain loops with sums in double, which holds its caller
// to the library's rules: kinds of descriptors, types and counts of attributes, what must be set and finalised before what,
// shapes, strides, alignments, memory of the device, workspace, stream. Each breach is a complaint (fake.h).
#pragma once

#include "backends/cuda/cudnn/table.h"

namespace lt::cuda::fake {

struct CudnnOptions {
  bool fusion = true;                 // false: no engine for a graph of more than the convolution
  bool float_weight_gradient = true;  // false: a weight gradient of bfloat16 is bfloat16
  bool any_engine = true;             // false: no engine at all
  bool heuristic_a = true;            // false: mode A finds nothing, the fallback does
  int64_t workspace_bytes = 1024;     // of the engines that are willing to use some
  size_t version = CUDNN_VERSION;
};
CudnnOptions& cudnn_options();

// The function of that name, as dlsym gives it; null where the fake has none.
void* cudnn_function(const char* name);
CudnnTable cudnn_table();

}  // namespace lt::cuda::fake
