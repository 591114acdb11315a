// Max-pool, ReLU and dropout and their ways back, as parts and as operations of their own; the mean over all pixels. See
// ops.h for memory and threads.
#include <cmath>
#include <cstring>

#include "backends/reference/ops.h"
#include "src/base/philox.h"

namespace lt::reference {

void max_pool(const float* x, Extent x_extent, Window pool, Extent y_extent, float* y, uint8_t* argmax) {
  const uint64_t channels = x_extent.channels;
  for (uint64_t row = 0; row < y_extent.height; ++row)
    for (uint64_t column = 0; column < y_extent.width; ++column)
      for (uint64_t channel = 0; channel < channels; ++channel) {
        bool found = false;
        float best = 0;
        uint32_t best_at = 0;
        for (uint32_t at = 0; at < pool.kernel * pool.kernel; ++at) {
          // Unsigned, so that a place in the padding in front of the sample is past its end too.
          const uint64_t x_row = row * pool.stride + at / pool.kernel - pool.padding;
          const uint64_t x_column = column * pool.stride + at % pool.kernel - pool.padding;
          if (x_row >= x_extent.height || x_column >= x_extent.width) continue;
          const float value = x[(x_row * x_extent.width + x_column) * channels + channel];
          if (!found || value > best || (std::isnan(value) && !std::isnan(best))) {
            found = true;
            best = value;
            best_at = at;
          }
        }
        const uint64_t element = (row * y_extent.width + column) * channels + channel;
        y[element] = best;
        if (argmax != nullptr) argmax[element] = static_cast<uint8_t>(best_at);
      }
}

void max_unpool(const float* dy, const uint8_t* argmax, Extent x_extent, Window pool, Extent y_extent, float* dx) {
  const uint64_t channels = x_extent.channels;
  std::memset(dx, 0, x_extent.elements() * sizeof(float));
  for (uint64_t row = 0; row < y_extent.height; ++row)
    for (uint64_t column = 0; column < y_extent.width; ++column)
      for (uint64_t channel = 0; channel < channels; ++channel) {
        const uint64_t element = (row * y_extent.width + column) * channels + channel;
        const uint64_t x_row = row * pool.stride + argmax[element] / pool.kernel - pool.padding;
        const uint64_t x_column = column * pool.stride + argmax[element] % pool.kernel - pool.padding;
        dx[(x_row * x_extent.width + x_column) * channels + channel] += dy[element];
      }
}

void relu_dropout(const Op& op, const RunArguments& arguments, uint32_t sample, float* y, uint8_t* mask_row) {
  const uint64_t elements = op.y_extent.elements();
  // A NaN goes through: the loss is to see it.
  if (op.has_relu)
    for (uint64_t e = 0; e < elements; ++e) y[e] = y[e] < 0 ? 0.0f : y[e];
  if (op.dropout == 0 || !arguments.training) return;
  if (mask_row != nullptr) std::memset(mask_row, 0, mask_row_bytes(elements));
  const double scale = arguments.dropout ? 1 / (1 - static_cast<double>(op.dropout)) : 1;
  const uint32_t sample_of_batch = arguments.sample_offset + sample;
  for (uint64_t e = 0; e < elements; ++e) {
    const bool keeps = !arguments.dropout || dropout_keeps(arguments.seed, arguments.step, op.layer_index, sample_of_batch,
                                                           static_cast<uint32_t>(e), op.dropout);
    if (mask_row != nullptr && keeps && (!op.has_relu || y[e] > 0))
      mask_row[e / 8] = static_cast<uint8_t>(mask_row[e / 8] | 1u << e % 8);
    y[e] = keeps ? static_cast<float>(scale * static_cast<double>(y[e])) : 0.0f;
  }
}

void relu_dropout_backward(const Op& op, const RunArguments& arguments, const float* dy, const float* y,
                           const uint8_t* mask_row, float* dz) {
  const uint64_t elements = op.y_extent.elements();
  const double scale = arguments.dropout ? 1 / (1 - static_cast<double>(op.dropout)) : 1;
  for (uint64_t e = 0; e < elements; ++e) {
    if (op.dropout != 0)
      dz[e] = mask_row[e / 8] >> e % 8 & 1 ? static_cast<float>(scale * static_cast<double>(dy[e])) : 0.0f;
    else
      dz[e] = !op.has_relu || y[e] > 0 ? dy[e] : 0.0f;
  }
}

void activation(const Op& op, const Context& context) {
  const uint64_t x_elements = op.x_extent.elements(), y_elements = op.y_extent.elements();
  for (uint32_t sample = 0; sample < context.arguments->samples; ++sample) {
    const float* x = context.row<float>(op.x, sample, x_elements);
    float* y = context.row<float>(op.y, sample, y_elements);
    if (op.has_pool)
      max_pool(x, op.x_extent, op.pool, op.y_extent, y, context.row<uint8_t>(op.argmax, sample, y_elements));
    else if (x != y)
      std::memcpy(y, x, y_elements * sizeof(float));
    relu_dropout(op, *context.arguments, sample, y, context.row<uint8_t>(op.mask, sample, mask_row_bytes(y_elements)));
  }
}

void activation_backward(const Op& op, const Context& context) {
  if (op.dx == no_tensor) return;
  const uint64_t x_elements = op.x_extent.elements(), y_elements = op.y_extent.elements();
  float* dz = context.scratch().take<float>(y_elements);
  for (uint32_t sample = 0; sample < context.arguments->samples; ++sample) {
    float* dx = context.row<float>(op.dx, sample, x_elements);
    relu_dropout_backward(op, *context.arguments, context.row<float>(op.dy, sample, y_elements),
                          context.row<float>(op.y, sample, y_elements),
                          context.row<uint8_t>(op.mask, sample, mask_row_bytes(y_elements)), op.has_pool ? dz : dx);
    if (op.has_pool)
      max_unpool(dz, context.row<uint8_t>(op.argmax, sample, y_elements), op.x_extent, op.pool, op.y_extent, dx);
  }
}

uint64_t average_pool_scratch_bytes(const Op& op) { return Scratch::bytes<double>(op.y_extent.elements()); }

void average_pool(const Op& op, const Context& context) {
  const uint64_t channels = op.x_extent.channels, pixels = op.x_extent.elements() / channels;
  double* sums = context.scratch().take<double>(channels);
  for (uint32_t sample = 0; sample < context.arguments->samples; ++sample) {
    const float* x = context.row<float>(op.x, sample, op.x_extent.elements());
    std::memset(sums, 0, channels * sizeof(double));
    for (uint64_t pixel = 0; pixel < pixels; ++pixel) add_scaled(sums, 1, 1, x + pixel * channels, 1, channels);
    float* y = context.row<float>(op.y, sample, channels);
    for (uint64_t c = 0; c < channels; ++c) y[c] = static_cast<float>(sums[c] / static_cast<double>(pixels));
  }
}

uint64_t activation_backward_scratch_bytes(const Op& op) {
  return op.has_pool ? Scratch::bytes<float>(op.y_extent.elements()) : 0;
}

}  // namespace lt::reference
