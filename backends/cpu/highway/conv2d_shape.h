// The sizes of a convolution with a joined pool, as its inner kernels want them: all 32 bits wide, checked once in set-up
// so that no product of them overflows afterwards. Plain data, read by any thread.
#pragma once

#include <cstdint>

#include "src/base/status.h"
#include "src/op.h"

namespace lt::cpu::highway {

struct Conv2dShape {
  uint32_t height, width, in_channels, out_channels;  // of x, and of the convolution's output
  uint32_t kernel, stride, padding;
  uint32_t conv_height, conv_width;
  uint32_t pool_kernel, pool_stride, pool_padding;  // 1, 1 and 0 where there is no pool
  uint32_t y_height, y_width;
  bool has_pool;

  uint32_t padded_height() const { return height + 2 * padding; }
  uint32_t padded_width() const { return width + 2 * padding; }
  uint64_t x_elements() const { return uint64_t{height} * width * in_channels; }
  uint64_t y_pixels() const { return uint64_t{y_height} * y_width; }
  uint64_t y_elements() const { return y_pixels() * out_channels; }
  uint64_t conv_elements() const { return uint64_t{conv_height} * conv_width * out_channels; }
  uint64_t fan_in() const { return uint64_t{kernel} * kernel * in_channels; }
};

// Fails with Status::unsupported where the op's extents do not fit its windows or a sample has 2^30 elements or more.
Status conv2d_shape(const Op& op, Conv2dShape* shape);

}  // namespace lt::cpu::highway
