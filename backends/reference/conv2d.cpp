// Convolution, bias, residual, max-pool, ReLU and dropout in one operation, composed sample by sample, and the way back.
// See ops.h for memory and threads.
#include <cstring>

#include "backends/reference/ops.h"

namespace lt::reference {
namespace {

uint64_t fan_in(const Op& op) { return uint64_t{op.conv.kernel} * op.conv.kernel * op.x_extent.channels; }

// Calls tap(y_pixel, x_pixel, k) for every pixel of the convolution's output and every place of the kernel that lies
// within the sample, k being the weight's first input there.
template <class Tap>
void for_taps(const Op& op, const Tap& tap) {
  const uint64_t kernel = op.conv.kernel;
  for (uint64_t row = 0; row < op.conv_extent.height; ++row)
    for (uint64_t column = 0; column < op.conv_extent.width; ++column)
      for (uint64_t at = 0; at < kernel * kernel; ++at) {
        // Unsigned, so that a place in the padding in front of the sample is past its end too.
        const uint64_t x_row = row * op.conv.stride + at / kernel - op.conv.padding;
        const uint64_t x_column = column * op.conv.stride + at % kernel - op.conv.padding;
        if (x_row >= op.x_extent.height || x_column >= op.x_extent.width) continue;
        tap(row * op.conv_extent.width + column, x_row * op.x_extent.width + x_column, at * op.x_extent.channels);
      }
}

}  // namespace

uint64_t conv2d_scratch_bytes(const Op& op) {
  return Scratch::bytes<double>(op.conv_extent.elements()) + Scratch::bytes<float>(op.conv_extent.elements());
}

void conv2d(const Op& op, const Context& context) {
  const uint64_t x_channels = op.x_extent.channels, channels = op.conv_extent.channels;
  const uint64_t x_elements = op.x_extent.elements(), y_elements = op.y_extent.elements();
  const uint64_t z_elements = op.conv_extent.elements();
  const WeightStrides strides = weight_strides(context.program->weight_layout, fan_in(op), channels);
  const float* weight = context.at<float>(op.weight);
  const float* bias = context.at<float>(op.bias);
  Scratch scratch = context.scratch();
  double* sums = scratch.take<double>(z_elements);
  float* z = scratch.take<float>(z_elements);

  for (uint32_t sample = 0; sample < context.arguments->samples; ++sample) {
    const float* x = context.row<float>(op.x, sample, x_elements);
    float* y = context.row<float>(op.y, sample, y_elements);
    for (uint64_t e = 0; e < z_elements; ++e) sums[e] = op.has_bias ? static_cast<double>(bias[e % channels]) : 0;
    for_taps(op, [&](uint64_t y_pixel, uint64_t x_pixel, uint64_t k) {
      for (uint64_t c = 0; c < x_channels; ++c)
        add_scaled(sums + y_pixel * channels, 1, static_cast<double>(x[x_pixel * x_channels + c]),
                   weight + (k + c) * strides.input, strides.output, channels);
    });
    if (op.residual != no_tensor) {
      const float* residual = context.row<float>(op.residual, sample, y_elements);
      for (uint64_t e = 0; e < y_elements; ++e) sums[e] += static_cast<double>(residual[e]);
    }
    store_sums(sums, z_elements, false, op.has_pool ? z : y);
    if (op.has_pool)
      max_pool(z, op.conv_extent, op.pool, op.y_extent, y, context.row<uint8_t>(op.argmax, sample, y_elements));
    relu_dropout(op, *context.arguments, sample, y, context.row<uint8_t>(op.mask, sample, mask_row_bytes(y_elements)));
  }
}

uint64_t conv2d_backward_scratch_bytes(const Op& op) {
  return Scratch::bytes<double>(fan_in(op) * op.conv_extent.channels) + Scratch::bytes<double>(op.conv_extent.channels) +
         Scratch::bytes<double>(op.x_extent.elements()) + Scratch::bytes<float>(op.y_extent.elements()) +
         Scratch::bytes<float>(op.conv_extent.elements());
}

void conv2d_backward(const Op& op, const Context& context) {
  const uint64_t x_channels = op.x_extent.channels, channels = op.conv_extent.channels;
  const uint64_t x_elements = op.x_extent.elements(), y_elements = op.y_extent.elements();
  const uint64_t z_elements = op.conv_extent.elements(), weight_elements = fan_in(op) * channels;
  const WeightStrides strides = weight_strides(context.program->weight_layout, fan_in(op), channels);
  const float* weight = context.at<float>(op.weight);
  Scratch scratch = context.scratch();
  double* weight_sums = scratch.take<double>(weight_elements);
  double* bias_sums = scratch.take<double>(channels);
  double* x_sums = scratch.take<double>(x_elements);
  float* dy_pooled = scratch.take<float>(y_elements);
  float* dz = scratch.take<float>(z_elements);
  std::memset(weight_sums, 0, weight_elements * sizeof(double));
  std::memset(bias_sums, 0, channels * sizeof(double));

  for (uint32_t sample = 0; sample < context.arguments->samples; ++sample) {
    const float* x = context.row<float>(op.x, sample, x_elements);
    relu_dropout_backward(op, *context.arguments, context.row<float>(op.dy, sample, y_elements),
                          context.row<float>(op.y, sample, y_elements),
                          context.row<uint8_t>(op.mask, sample, mask_row_bytes(y_elements)), op.has_pool ? dy_pooled : dz);
    if (op.has_pool)
      max_unpool(dy_pooled, context.row<uint8_t>(op.argmax, sample, y_elements), op.conv_extent, op.pool, op.y_extent, dz);

    for (uint64_t e = 0; e < z_elements; ++e) bias_sums[e % channels] += static_cast<double>(dz[e]);
    for_taps(op, [&](uint64_t y_pixel, uint64_t x_pixel, uint64_t k) {
      for (uint64_t c = 0; c < x_channels; ++c)
        add_scaled(weight_sums + (k + c) * strides.input, strides.output, static_cast<double>(x[x_pixel * x_channels + c]),
                   dz + y_pixel * channels, 1, channels);
    });

    if (op.dx == no_tensor) continue;
    std::memset(x_sums, 0, x_elements * sizeof(double));
    for_taps(op, [&](uint64_t y_pixel, uint64_t x_pixel, uint64_t k) {
      for (uint64_t o = 0; o < channels; ++o)
        add_scaled(x_sums + x_pixel * x_channels, 1, static_cast<double>(dz[y_pixel * channels + o]),
                   weight + k * strides.input + o * strides.output, strides.input, x_channels);
    });
    store_sums(x_sums, x_elements, false, context.row<float>(op.dx, sample, x_elements));
  }
  store_sums(weight_sums, weight_elements, context.arguments->accumulate, context.at<float>(op.dweight));
  if (op.has_bias) store_sums(bias_sums, channels, context.arguments->accumulate, context.at<float>(op.dbias));
}

}  // namespace lt::reference
