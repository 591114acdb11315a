// Sums down the columns of a matrix, the gradient of a bias, in an order that depends on the matrix' size alone.
#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/elementwise.h"

namespace lt::cuda {

template <class T>
LT_DEVICE void column_sums(const ColumnSumsArguments& a) {
  LT_SHARED(sums, float[column_sums_threads]);
  const uint32_t width = 1u << a.column_shift, lanes = column_sums_threads >> a.column_shift;
  const uint32_t column = blockIdx.x * width + (threadIdx.x & (width - 1)), lane = threadIdx.x >> a.column_shift;
  const uint64_t begin = blockIdx.y * a.part_rows, end = min(begin + a.part_rows, a.rows);
  float sum = 0;
  if (column < a.columns) {
    const T* dz = static_cast<const T*>(a.dz) + column;
    uint64_t row = begin + lane;
    // Four on their way at a time; added up in order.
    for (; row + 3 * lanes < end; row += 4 * lanes) {
      float values[4];
      LT_UNROLL
      for (uint32_t i = 0; i < 4; ++i) values[i] = to_float(dz[(row + i * lanes) * a.channels]);
      LT_UNROLL
      for (uint32_t i = 0; i < 4; ++i) sum += values[i];
    }
    for (; row < end; row += lanes) sum += to_float(dz[row * a.channels]);
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  for (uint32_t half = lanes / 2; half > 0; half /= 2) {
    if (lane < half) sums[threadIdx.x] += sums[threadIdx.x + half * width];
    __syncthreads();
  }
  if (lane != 0 || column >= a.columns) return;
  if (a.partials != nullptr)
    a.partials[uint64_t{blockIdx.y} * a.columns + column] = sums[threadIdx.x];
  else
    a.sums[column] = a.accumulate != 0 ? a.sums[column] + sums[threadIdx.x] : sums[threadIdx.x];
}

LT_KERNEL(column_sums_f32, ColumnSumsArguments, column_sums_threads) { column_sums<float>(a); }
LT_KERNEL(column_sums_bf16, ColumnSumsArguments, column_sums_threads) { column_sums<Bf16>(a); }

LT_KERNEL(column_sums_finish, ColumnSumsFinishArguments, elementwise_threads) {
  const uint32_t column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= a.columns) return;
  float sum = 0;
  for (uint32_t part = 0; part < a.parts; ++part) sum += a.partials[uint64_t{part} * a.columns + column];
  a.sums[column] = a.accumulate != 0 ? a.sums[column] + sum : sum;
}

}  // namespace lt::cuda
