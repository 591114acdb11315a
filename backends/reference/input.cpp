// Raw samples, planar [channel][row][column] as files hold them, to normalised floats, channels last; sequences, which are
// held step by step, to time in front of samples, and so
// do words. See ops.h for memory and threads.
#include "backends/reference/ops.h"

namespace lt::reference {
namespace {

template <class T>
void normalise(const Op& op, const T* x, uint64_t pixels, float* y) {
  const uint64_t channels = op.x_extent.channels;
  for (uint64_t channel = 0; channel < channels; ++channel) {
    const double mean = op.mean.empty() ? 0 : static_cast<double>(op.mean[channel]);
    const double deviation = op.deviation.empty() ? 1 : static_cast<double>(op.deviation[channel]);
    for (uint64_t pixel = 0; pixel < pixels; ++pixel)
      y[pixel * channels + channel] = static_cast<float>(
          (static_cast<double>(x[channel * pixels + pixel]) * static_cast<double>(op.scale) - mean) / deviation);
  }
}

template <class T>
void each_sample(const Op& op, const Context& context, const T* x) {
  const uint64_t elements = op.x_extent.elements(), features = op.x_extent.channels;
  const uint32_t samples = context.arguments->samples, steps = context.program->tensors[op.y].time_steps;
  float* const y = context.at<float>(op.y);
  for (uint32_t sample = 0; sample < samples; ++sample) {
    if (steps == 0) normalise(op, x + sample * elements, elements / features, y + sample * elements);
    for (uint64_t t = 0; t < steps; ++t)
      normalise(op, x + sample * elements + t * features, 1, y + (t * samples + sample) * features);
  }
}

void transpose_words(const Op& op, const Context& context) {
  const uint32_t samples = context.arguments->samples, steps = op.x_extent.height;
  const auto* x = static_cast<const int32_t*>(context.arguments->x);
  for (uint64_t sample = 0; sample < samples; ++sample)
    for (uint64_t t = 0; t < steps; ++t) context.at<int32_t>(op.y)[t * samples + sample] = x[sample * steps + t];
}

}  // namespace

void input(const Op& op, const Context& context) {
  if (op.x_dtype == DType::i32) return transpose_words(op, context);
  if (op.x_dtype == DType::u8)
    each_sample(op, context, static_cast<const uint8_t*>(context.arguments->x));
  else
    each_sample(op, context, static_cast<const float*>(context.arguments->x));
}

}  // namespace lt::reference
