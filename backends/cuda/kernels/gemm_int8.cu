// Products of bytes, with sums in whole numbers, by the tensor cores: forward, for inference.
#include "backends/cuda/kernels/gemm_kernel.cuh"

LT_GEMM_KERNEL(forward, int8, 128x64, 128, 64)
LT_GEMM_KERNEL(forward, int8, 64x64, 64, 64)
LT_GEMM_KERNEL(forward, int8, 64x32, 64, 32)
