// Products of bfloat16 tensors, with sums in float, by the tensor cores.
#include "backends/cuda/kernels/gemm_kernel.cuh"

LT_GEMM_KERNELS(bf16)
