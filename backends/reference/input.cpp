// Raw samples, planar [channel][row][column] as files hold them, to normalised floats, channels last. See ops.h for memory
// and threads.
#include "backends/reference/ops.h"

namespace lt::reference {
namespace {

template <class T>
void normalise(const Op& op, const T* x, float* y) {
  const Extent extent = op.x_extent;
  const uint64_t pixels = uint64_t{extent.height} * extent.width;
  for (uint64_t channel = 0; channel < extent.channels; ++channel) {
    const double mean = op.mean.empty() ? 0 : static_cast<double>(op.mean[channel]);
    const double deviation = op.deviation.empty() ? 1 : static_cast<double>(op.deviation[channel]);
    for (uint64_t pixel = 0; pixel < pixels; ++pixel)
      y[pixel * extent.channels + channel] = static_cast<float>(
          (static_cast<double>(x[channel * pixels + pixel]) * static_cast<double>(op.scale) - mean) / deviation);
  }
}

}  // namespace

void input(const Op& op, const Context& context) {
  const uint64_t elements = op.x_extent.elements();
  for (uint32_t sample = 0; sample < context.arguments->samples; ++sample) {
    float* y = context.row<float>(op.y, sample, elements);
    if (op.x_dtype == DType::u8)
      normalise(op, static_cast<const uint8_t*>(context.arguments->x) + sample * elements, y);
    else
      normalise(op, static_cast<const float*>(context.arguments->x) + sample * elements, y);
  }
}

}  // namespace lt::reference
