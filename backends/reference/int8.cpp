#include "backends/reference/int8.h"

#include <cstring>

#include "src/base/int8.h"

namespace lt::reference {
namespace {

float scale_of(const Op& op, const Context& context, ByteScale scale) { return context.at<float>(op.scales)[scale.place]; }

void input_bytes(const Op& op, const Context& context) {
  const uint64_t channels = op.x_extent.channels, pixels = op.x_extent.elements() / channels;
  const auto* x = static_cast<const uint8_t*>(context.arguments->x);
  auto* y = context.at<uint8_t>(op.y);
  const float scale = scale_of(op, context, op.y_scale);
  for (uint32_t sample = 0; sample < context.arguments->samples; ++sample, x += pixels * channels, y += pixels * channels)
    for (uint64_t c = 0; c < channels; ++c)
      for (uint64_t pixel = 0; pixel < pixels; ++pixel)
        y[pixel * channels + c] = input_byte(x[c * pixels + pixel], op.scale, op.mean.empty() ? 0 : op.mean[c],
                                             op.deviation.empty() ? 1 : op.deviation[c], scale, op.y_scale.zero);
}

// A convolution's weights and what turns its sums into bytes, [output].
struct Bytes {
  int8_t* weight;  // [input][output]
  float* factor;
  int32_t* bias;
};

uint64_t fan_in(const Op& op) { return uint64_t{op.conv.kernel} * op.conv.kernel * op.x_extent.channels; }

Bytes take_weights(const Op& op, const Context& context, Scratch* scratch) {
  const uint64_t inputs = fan_in(op), outputs = op.conv_extent.channels;
  const WeightStrides strides = weight_strides(context.program->weight_layout, inputs, outputs);
  const float* const weight = context.at<float>(op.weight);
  const Bytes bytes{scratch->take<int8_t>(inputs * outputs), scratch->take<float>(outputs),
                    scratch->take<int32_t>(outputs)};
  const float scale_x = scale_of(op, context, op.x_scale), scale_y = scale_of(op, context, op.y_scale);
  for (uint64_t o = 0; o < outputs; ++o) {
    float largest = 0;
    for (uint64_t k = 0; k < inputs; ++k)
      largest = std::max(largest, std::abs(weight[k * strides.input + o * strides.output]));
    const float scale = weight_scale(largest);
    for (uint64_t k = 0; k < inputs; ++k)
      bytes.weight[k * outputs + o] = weight_byte(weight[k * strides.input + o * strides.output], scale);
    bytes.factor[o] = output_factor(scale_x, scale, scale_y);
    bytes.bias[o] = op.has_bias ? bias_steps(context.at<float>(op.bias)[o], scale_x, scale) : 0;
  }
  return bytes;
}

int32_t sum_of(const Op& op, const Bytes& bytes, const uint8_t* x, uint64_t row, uint64_t column, uint64_t output) {
  const uint64_t channels = op.x_extent.channels, outputs = op.conv_extent.channels;
  int32_t sum = bytes.bias[output];
  for (uint64_t at = 0; at < uint64_t{op.conv.kernel} * op.conv.kernel; ++at) {
    // Unsigned, so that a place in the padding in front of the sample is past its end too.
    const uint64_t x_row = row * op.conv.stride + at / op.conv.kernel - op.conv.padding;
    const uint64_t x_column = column * op.conv.stride + at % op.conv.kernel - op.conv.padding;
    if (x_row >= op.x_extent.height || x_column >= op.x_extent.width) continue;
    const uint8_t* const pixel = x + (x_row * op.x_extent.width + x_column) * channels;
    const int8_t* const weight = bytes.weight + at * channels * outputs + output;
    for (uint64_t c = 0; c < channels; ++c) sum += (pixel[c] - op.x_scale.zero) * weight[c * outputs];
  }
  return sum;
}

void pool(const Op& op, const uint8_t* z, uint8_t* y) {
  const uint64_t channels = op.conv_extent.channels;
  for (uint64_t row = 0; row < op.y_extent.height; ++row)
    for (uint64_t column = 0; column < op.y_extent.width; ++column)
      for (uint64_t c = 0; c < channels; ++c) {
        uint8_t best = 0;
        for (uint64_t at = 0; at < uint64_t{op.pool.kernel} * op.pool.kernel; ++at) {
          const uint64_t z_row = row * op.pool.stride + at / op.pool.kernel - op.pool.padding;
          const uint64_t z_column = column * op.pool.stride + at % op.pool.kernel - op.pool.padding;
          if (z_row >= op.conv_extent.height || z_column >= op.conv_extent.width) continue;
          best = std::max(best, z[(z_row * op.conv_extent.width + z_column) * channels + c]);
        }
        y[(row * op.y_extent.width + column) * channels + c] = best;
      }
}

void conv2d_bytes(const Op& op, const Context& context) {
  Scratch scratch = context.scratch();
  const Bytes bytes = take_weights(op, context, &scratch);
  uint8_t* const z = scratch.take<uint8_t>(op.conv_extent.elements());
  const uint64_t outputs = op.conv_extent.channels, y_elements = op.y_extent.elements();
  const float factor = op.residual == no_tensor
                           ? 0
                           : residual_factor(scale_of(op, context, op.residual_scale), scale_of(op, context, op.y_scale));
  for (uint32_t sample = 0; sample < context.arguments->samples; ++sample) {
    const auto* const x = context.row<const uint8_t>(op.x, sample, op.x_extent.elements());
    const auto* const residual = context.row<const uint8_t>(op.residual, sample, y_elements);
    auto* const y = context.row<uint8_t>(op.y, sample, y_elements);
    uint8_t* const to = op.has_pool ? z : y;
    for (uint64_t e = 0; e < op.conv_extent.elements(); ++e) {
      const uint64_t output = e % outputs, pixel = e / outputs;
      const int32_t sum = sum_of(op, bytes, x, pixel / op.conv_extent.width, pixel % op.conv_extent.width, output);
      to[e] = residual == nullptr
                  ? requantised(sum, bytes.factor[output], op.y_scale.zero)
                  : requantised(sum, bytes.factor[output], residual[e] - op.residual_scale.zero, factor, op.y_scale.zero);
    }
    if (op.has_pool) pool(op, z, y);
  }
}

void average_pool_bytes(const Op& op, const Context& context) {
  const uint64_t channels = op.x_extent.channels, pixels = op.x_extent.elements() / channels;
  const float scale = scale_of(op, context, op.x_scale);
  for (uint32_t sample = 0; sample < context.arguments->samples; ++sample) {
    const auto* const x = context.row<const uint8_t>(op.x, sample, op.x_extent.elements());
    for (uint64_t c = 0; c < channels; ++c) {
      int32_t sum = 0;
      for (uint64_t pixel = 0; pixel < pixels; ++pixel) sum += x[pixel * channels + c] - op.x_scale.zero;
      context.row<float>(op.y, sample, channels)[c] = average_of(sum, scale, pixels);
    }
  }
}

}  // namespace

Status int8_scratch_bytes(const Op& op, uint64_t* bytes) {
  *bytes = 0;
  if (op.kind == OpKind::conv2d)
    *bytes = Scratch::bytes<int8_t>(fan_in(op) * op.conv_extent.channels) + Scratch::bytes<float>(op.conv_extent.channels) +
             Scratch::bytes<int32_t>(op.conv_extent.channels) + Scratch::bytes<uint8_t>(op.conv_extent.elements());
  if (op.kind == OpKind::input || op.kind == OpKind::conv2d || op.kind == OpKind::average_pool) return Status::ok;
  return fail(Status::unsupported, "%s: there is no %s in int8", op.layer.c_str(), op_kind_name(op.kind));
}

void int8_run(const Op& op, const Context& context) {
  switch (op.kind) {
    case OpKind::input: return input_bytes(op, context);
    case OpKind::conv2d: return conv2d_bytes(op, context);
    default: return average_pool_bytes(op, context);
  }
}

}  // namespace lt::reference
