// Winograd's view of a layer's shape, and which layers it serves. See winograd_shape.h.
#include "backends/cpu/highway/winograd_shape.h"

namespace lt::cpu::highway {
namespace {

// With fewer channels the transforms cost more than the products that they save.
constexpr uint32_t least_channels = 16;

bool fits_tiles(const Conv2dShape& s) {
  const bool pool_in_tile = !s.has_pool || (s.pool_kernel == 2 && s.pool_stride == 2 && s.pool_padding == 0);
  return (s.kernel == 3 || s.kernel == 5) && s.stride == 1 && pool_in_tile && s.in_channels >= least_channels &&
         s.out_channels >= least_channels;
}

}  // namespace

WinogradShape winograd_forward_shape(const Conv2dShape& s) {
  return {.kernel = s.kernel,
          .padding = s.padding,
          .in_height = s.height,
          .in_width = s.width,
          .in_channels = s.in_channels,
          .window_rows = 0,
          .window_columns = 0,
          .out_height = s.conv_height,
          .out_width = s.conv_width,
          .out_channels = s.out_channels,
          .y_height = s.y_height,
          .y_width = s.y_width,
          .pools = s.has_pool,
          .turned = false};
}

WinogradShape winograd_input_gradient_shape(const Conv2dShape& s) {
  return {.kernel = s.kernel,
          .padding = s.kernel - 1 - s.padding,
          .in_height = s.conv_height,
          .in_width = s.conv_width,
          .in_channels = s.out_channels,
          .window_rows = s.has_pool ? s.y_height : 0,
          .window_columns = s.has_pool ? s.y_width : 0,
          .out_height = s.height,
          .out_width = s.width,
          .out_channels = s.in_channels,
          .y_height = s.height,
          .y_width = s.width,
          .pools = false,
          .turned = true};
}

bool winograd_serves_forward(const Conv2dShape& s) { return fits_tiles(s); }

// Behind a pool three quarters of the gradients are zero. Walking the others takes 9/4 of a 3x3 kernel's 36/16 products an
// input pixel, hence as many as Winograd's if none of the winners is lost, but loads each of its operands; of a 5x5 kernel
// it takes 25/4 against 36/4.
bool winograd_serves_backward(const Conv2dShape& s) {
  return fits_tiles(s) && s.padding < s.kernel && (s.kernel == 3 || !s.has_pool);
}

}  // namespace lt::cpu::highway
