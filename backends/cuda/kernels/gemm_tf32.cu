// Products of floats rounded to tf32, with sums in float, by the tensor cores.
#include "backends/cuda/kernels/gemm_kernel.cuh"

LT_GEMM_KERNELS(tf32)
