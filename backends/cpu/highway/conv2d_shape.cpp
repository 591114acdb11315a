#include "backends/cpu/highway/conv2d_shape.h"

#include "src/base/checked.h"

namespace lt::cpu::highway {

namespace {

constexpr uint64_t most_elements = uint64_t{1} << 30;

// What a window gives along one side, or 0 where it does not fit or the numbers are beyond bounds.
uint64_t steps(uint64_t size, const Window& window) {
  const uint64_t padded = size + 2 * uint64_t{window.padding};
  if (window.kernel == 0 || window.stride == 0 || padded >= most_elements || padded < window.kernel) return 0;
  return (padded - window.kernel) / window.stride + 1;
}

bool few(std::optional<uint64_t> elements) { return elements && *elements > 0 && *elements < most_elements; }

}  // namespace

Status conv2d_shape(const Op& op, Conv2dShape* shape) {
  const char* layer = op.layer.c_str();
  const Window pool = op.has_pool ? op.pool : Window{};
  if (op.conv.stride > 1024 || op.conv.kernel > 1024 || op.conv.padding > 1024)
    return fail(Status::unsupported, "%s: highway conv2d takes kernels, strides and paddings up to 1024, not %u, %u and %u",
                layer, op.conv.kernel, op.conv.stride, op.conv.padding);
  if (pool.kernel > 16 || pool.stride > 1024 || (op.has_pool && pool.padding >= pool.kernel))
    return fail(Status::unsupported,
                "%s: highway conv2d joins pools up to 16x16 with less padding, not %ux%u, stride %u, padding %u", layer,
                pool.kernel, pool.kernel, pool.stride, pool.padding);
  const Extent &x = op.x_extent, &conv = op.conv_extent, &y = op.y_extent;
  const uint64_t padded_height = uint64_t{x.height} + 2 * op.conv.padding,
                 padded_width = uint64_t{x.width} + 2 * op.conv.padding;
  if (steps(x.height, op.conv) != conv.height || steps(x.width, op.conv) != conv.width ||
      steps(conv.height, pool) != y.height || steps(conv.width, pool) != y.width || conv.channels != y.channels)
    return fail(Status::unsupported,
                "%s: highway conv2d finds extents %ux%ux%u -> %ux%ux%u -> %ux%ux%u that its windows do not give", layer,
                x.height, x.width, x.channels, conv.height, conv.width, conv.channels, y.height, y.width, y.channels);
  // Twice the padded input bounds every copy of it, whatever the stride.
  if (!few(checked_multiply(2 * padded_height, padded_width + op.conv.stride, x.channels)) ||
      !few(checked_multiply(conv.height, conv.width, uint64_t{conv.channels} + 64)) ||
      !few(checked_multiply(op.conv.kernel, uint64_t{op.conv.kernel} * x.channels + 64, uint64_t{conv.channels} + 64)))
    return fail(Status::unsupported, "%s: highway conv2d takes samples and weights of less than 2^30 elements", layer);
  *shape = {.height = x.height,
            .width = x.width,
            .in_channels = x.channels,
            .out_channels = conv.channels,
            .kernel = op.conv.kernel,
            .stride = op.conv.stride,
            .padding = op.conv.padding,
            .conv_height = conv.height,
            .conv_width = conv.width,
            .pool_kernel = pool.kernel,
            .pool_stride = pool.stride,
            .pool_padding = pool.padding,
            .y_height = y.height,
            .y_width = y.width,
            .has_pool = op.has_pool};
  return Status::ok;
}

}  // namespace lt::cpu::highway
