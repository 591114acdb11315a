// The products' kernels, compiled for the host.
#include "backends/cuda/kernels/gemm_bf16.cu"
#include "backends/cuda/kernels/gemm_f32.cu"
#include "backends/cuda/kernels/gemm_reduce.cu"
#include "backends/cuda/kernels/gemm_tf32.cu"
