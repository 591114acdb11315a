// Weights on their way to bytes: once behind every upload of weights or scales.
#include "backends/cuda/kernels/device.h"
#include "backends/cuda/kernels/int8.h"
#include "src/base/int8.h"

namespace lt::cuda {

LT_KERNEL(int8_weights, Int8WeightsArguments, int8_weights_threads) {
  const uint32_t output = blockIdx.x * (int8_weights_threads / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (output >= a.outputs) return;  // the whole warp
  const uint32_t fan_in = a.kernel * a.kernel * a.channels, packed = a.kernel * a.row_bytes;
  const float* const weight = a.weight + uint64_t{output} * fan_in;
  int8_t* const bytes = a.bytes + uint64_t{output} * packed;

  float largest = 0;
  for (uint32_t i = lane; i < fan_in; i += 32) largest = fmaxf(largest, fabsf(weight[i]));
  // Floats without a sign are ordered as their bits are.
  const float scale = weight_scale(__uint_as_float(__reduce_max_sync(~0u, __float_as_uint(largest))));

  int32_t sum = 0;
  for (uint32_t i = lane; i < packed; i += 32) {
    const uint32_t row = i / a.row_bytes, of_row = i % a.row_bytes, column = of_row / a.pitch, channel = of_row % a.pitch;
    const bool there = column < a.kernel && channel < a.channels;
    const int8_t byte = there ? weight_byte(weight[(row * a.kernel + column) * a.channels + channel], scale) : int8_t{0};
    bytes[i] = byte;
    sum += byte;
  }
  sum = __reduce_add_sync(~0u, sum);
  if (lane != 0) return;
  const float scale_x = a.scales[a.x_place], scale_y = a.scales[a.y_place];
  a.factor[output] = output_factor(scale_x, scale, scale_y);
  // x is what it is less its zero, in the padding too.
  a.steps[output] =
      (a.bias != nullptr ? bias_steps(a.bias[output], scale_x, scale) : 0) - static_cast<int32_t>(a.x_zero) * sum;
  if (output == 0 && a.residual_factor != nullptr)
    *a.residual_factor = residual_factor(a.scales[a.residual_place], scale_y);
}

}  // namespace lt::cuda
