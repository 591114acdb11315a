// A convolution with stride 1 as Winograd's tiles see it: a layer's forward pass, or the gradient of its input, which is
// the convolution of the output's gradient with the kernel turned round and its channels exchanged. Plain data, read by any
// thread.
#pragma once

#include <cstdint>

#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/targets.h"

namespace lt::cpu::highway {

// Most inputs along a tile's side, and the products that take the place of all its weights times outputs.
inline constexpr uint32_t winograd_side = 6, winograd_points = winograd_side * winograd_side;

struct WinogradShape {
  uint32_t kernel, padding;
  uint32_t in_height, in_width, in_channels;
  uint32_t window_rows, window_columns;  // where the input is a 2x2 pool's gradient: the pool's outputs; else 0
  uint32_t out_height, out_width, out_channels;
  uint32_t y_height, y_width;  // the outputs or, with a pool, the windows
  bool pools;                  // 2x2, behind the convolution
  bool turned;  // the gradient of the input: weights at [kernel - 1 - row][kernel - 1 - column][out channel][in channel]

  uint32_t outputs() const { return winograd_side + 1 - kernel; }  // along a tile's side
  uint32_t tile_rows() const { return ((pools ? 2 * y_height : out_height) + outputs() - 1) / outputs(); }
  uint32_t tile_columns() const { return ((pools ? 2 * y_width : out_width) + outputs() - 1) / outputs(); }
  uint32_t tiles() const { return tile_rows() * tile_columns(); }  // of one sample
  // Of one sample: the input as it lies in memory, and y.
  uint64_t x_elements() const {
    const uint64_t pixels = window_rows != 0 ? uint64_t{window_rows} * window_columns : uint64_t{in_height} * in_width;
    return pixels * in_channels;
  }
  uint64_t y_elements() const { return uint64_t{y_height} * y_width * out_channels; }
};

WinogradShape winograd_forward_shape(const Conv2dShape& shape);
// Only for layers with padding < kernel.
WinogradShape winograd_input_gradient_shape(const Conv2dShape& shape);

// Which passes of a layer go by Winograd: the one place that decides, on the shape and the instruction set, never on data.
bool winograd_serves_forward(const Conv2dShape& shape);
bool winograd_serves_backward(const Conv2dShape& shape, Target target);

}  // namespace lt::cpu::highway
