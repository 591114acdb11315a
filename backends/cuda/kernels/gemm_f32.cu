// Products in true float, by fused multiply-adds.
#include "backends/cuda/kernels/gemm_kernel.cuh"

LT_GEMM_KERNELS(f32)
