// cuBLASLt's functions as the CUDA backend calls them, computed in plain loops with sums in double, which hold their caller
// to the library's rules: kinds, sizes and order of attributes, leading dimensions, types that go together, alignments that
// were promised, memory of the device, workspace. Each breach is a complaint (fake.h).
#pragma once

#include "backends/cuda/cublaslt/table.h"

namespace lt::cuda::fake {

struct LtOptions {
  bool bias = true, bias_gradient = true;  // false: the heuristic finds nothing with that epilogue
  bool any_product = true;                 // false: it finds nothing at all
  bool workspace = true;                   // false: algorithms need none
  size_t version = CUBLAS_VERSION;
};
LtOptions& lt_options();

// The function of that name, as dlsym gives it; null where the fake has none.
void* cublaslt_function(const char* name);
CublasLtTable cublaslt_table();

}  // namespace lt::cuda::fake
