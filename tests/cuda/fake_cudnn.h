// cuDNN's graph interface and recurrent layers as the CUDA backend calls them, computed in plain loops with sums in double,
// which holds its caller to the library's rules: kinds of descriptors, types and counts of attributes, what must be set and
// finalised before what, shapes, strides, alignments, memory of the device, workspace, stream. Each breach is a complaint
// (fake.h).
#pragma once

#include <string>
#include <vector>

#include "backends/cuda/cudnn/table.h"

namespace lt::cuda::fake {

struct CudnnOptions {
  bool fusion = true;                 // false: no graph of more than one operation
  bool float_weight_gradient = true;  // false: a weight gradient from bfloat16 is bfloat16
  bool any_engine = true;             // false: no engine at all
  bool heuristic_a = true;            // false: mode A proposes nothing, the fallback does
  bool small_recurrent = true;        // false: no algorithm for recurrent layers of few units
  uint64_t weight_gap = 0;            // floats between the matrices of a recurrent layer's block of weights
  size_t version = CUDNN_VERSION;
};
CudnnOptions& cudnn_options();

// The engines that ran since the last call, by name: "fma", "tensor cores", "tensor cores, any order", "rnn" ...
std::vector<std::string> take_executed_engines();

// The function of that name, as dlsym gives it; null where the fake has none.
void* cudnn_function(const char* name);
CudnnTable cudnn_table();

}  // namespace lt::cuda::fake
