// Weights on their way to bytes: once behind every upload of weights or scales.
#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/int8.h"
#include "src/base/int8.h"

namespace lt::cuda {

constexpr uint32_t int8_weights_warps = int8_weights_threads / 32;

LT_KERNEL(int8_weights, Int8WeightsArguments, int8_weights_threads) {
  LT_SHARED(largest_of, float[int8_weights_warps]);
  LT_SHARED(sum_of, int32_t[int8_weights_warps]);
  const uint32_t output = blockIdx.x, fan_in = a.kernel * a.kernel * a.channels, packed = a.kernel * a.row_bytes;
  const float* const weight = a.weight + uint64_t{output} * fan_in;
  int8_t* const bytes = a.bytes + uint64_t{output} * packed;

  float largest = 0;
  for (uint32_t i = threadIdx.x; i < fan_in; i += int8_weights_threads) largest = fmaxf(largest, fabsf(weight[i]));
  for (int other = 16; other > 0; other /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, other));
  if (threadIdx.x % 32 == 0) largest_of[threadIdx.x / 32] = largest;
  __syncthreads();
  LT_UNROLL
  for (uint32_t warp = 0; warp < int8_weights_warps; ++warp) largest = fmaxf(largest, largest_of[warp]);
  const float scale = weight_scale(largest);

  int32_t sum = 0;
  for (uint32_t i = threadIdx.x; i < packed; i += int8_weights_threads) {
    const uint32_t row = i / a.row_bytes, of_row = i % a.row_bytes, column = of_row / a.pitch, channel = of_row % a.pitch;
    const bool there = column < a.kernel && channel < a.channels;
    const int8_t byte = there ? weight_byte(weight[(row * a.kernel + column) * a.channels + channel], scale) : int8_t{0};
    bytes[i] = byte;
    sum += byte;
  }
  for (int other = 16; other > 0; other /= 2) sum += __shfl_xor_sync(~0u, sum, other);
  if (threadIdx.x % 32 == 0) sum_of[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  sum = 0;
  for (uint32_t warp = 0; warp < int8_weights_warps; ++warp) sum += sum_of[warp];
  const float scale_x = a.scales[a.x_place], scale_y = a.scales[a.y_place];
  a.factor[output] = output_factor(scale_x, scale, scale_y);
  // x is what it is less its zero, in the padding too.
  a.steps[output] =
      (a.bias != nullptr ? bias_steps(a.bias[output], scale_x, scale) : 0) - static_cast<int32_t>(a.x_zero) * sum;
  if (output == 0 && a.residual_factor != nullptr)
    *a.residual_factor = residual_factor(a.scales[a.residual_place], scale_y);
}

}  // namespace lt::cuda
