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

// In one instruction: what makes Winograd's products cheap beside the loads of others.
bool multiplies_and_adds([[maybe_unused]] Target target) {
#if defined(__aarch64__)
  return true;
#else
  return target >= Target::avx2;
#endif
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

// Behind a pool three quarters of the gradients are zero. Walking the others, as conv2d_backward.cpp does, takes 9/4
// products an input pixel of a 3x3 kernel where no winner is lost to ReLU or dropout, and so do Winograd's tiles, 36/16;
// but it loads an operand for each. Of a 5x5 kernel it is 25/4 against 36/4. One thread of a Zen 5, seven winners in ten
// kept, milliseconds, walking : Winograd:
//                                     AVX-512        AVX2          SSE4
//   32x32, 50 -> 50, 3x3, pool     14.2 : 11.3    37.1 : 23.2   38.6 : 53.3
//   16x16, 100 -> 100, 3x3, pool   12.3 : 10.1    24.9 : 18.4   31.9 : 42.9
//   16x16, 50 -> 100, 3x3          19.2 :  5.6    37.2 : 14.8   51.4 : 33.2
bool winograd_serves_backward(const Conv2dShape& s, Target target) {
  if (!fits_tiles(s) || s.padding >= s.kernel) return false;
  return !s.has_pool || (s.kernel == 3 && multiplies_and_adds(target));
}

}  // namespace lt::cpu::highway
