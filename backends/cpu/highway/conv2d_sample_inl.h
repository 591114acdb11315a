// What one sample of a direct convolution needs around its tiles: the padded copy of its input, and pools that are not 2x2.
// Compiled once a target into each file that includes it, after hwy/highway.h. Nothing here owns memory; any thread may
// call.
#if defined(LT_CONV2D_SAMPLE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LT_CONV2D_SAMPLE_INL_H
#undef LT_CONV2D_SAMPLE_INL_H
#else
#define LT_CONV2D_SAMPLE_INL_H
#endif

#include "backends/cpu/highway/conv2d_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace {

// x to the layout that conv2d_forward.h describes.
HWY_INLINE void copy_input(const Conv2dShape& s, const float* x, float* input) {
  const uint64_t phase = conv2d_phase_columns(s), channel_floats = phase * s.stride, row_floats = conv2d_row_floats(s);
  if (s.padding != 0 || s.padded_width() % s.stride != 0)
    std::memset(input, 0, row_floats * s.padded_height() * sizeof(float));
  for (uint32_t row = 0; row < s.height; ++row, x += uint64_t{s.width} * s.in_channels) {
    float* const to = input + (row + s.padding) * row_floats;
    for (uint32_t first = 0; first < std::min(s.stride, s.width); ++first) {
      const uint32_t padded = first + s.padding, count = (s.width - first + s.stride - 1) / s.stride;
      const uint64_t step = uint64_t{s.stride} * s.in_channels;
      for (uint32_t channel = 0; channel < s.in_channels; ++channel) {
        float* const at = to + channel * channel_floats + padded % s.stride * phase + padded / s.stride;
        const float* const from = x + uint64_t{first} * s.in_channels + channel;
        for (uint32_t i = 0; i < count; ++i) at[i] = from[i * step];
      }
    }
  }
}

// Any pool, from the convolution of one sample.
HWY_INLINE void pool_sample(const Conv2dShape& s, const float* conv, bool relu, float* y, uint8_t* argmax) {
  const uint64_t row_floats = uint64_t{s.conv_width} * s.out_channels;
  for (uint32_t row = 0; row < s.y_height; ++row) {
    for (uint32_t column = 0; column < s.y_width; ++column, y += s.out_channels) {
      // The part of the window inside; there is some, the padding being less than the kernel.
      const uint32_t top = row * s.pool_stride, left = column * s.pool_stride, p = s.pool_padding;
      const uint32_t first_row = p > top ? p - top : 0, last_row = std::min(s.pool_kernel, s.conv_height + p - top);
      const uint32_t first_column = p > left ? p - left : 0, last_column = std::min(s.pool_kernel, s.conv_width + p - left);
      for (uint32_t channel = 0; channel < s.out_channels; channel += lanes) {
        const size_t count = std::min<size_t>(lanes, s.out_channels - channel);
        HWY_ALIGN float buffer[lanes] = {};
        V largest = hn::Zero(D());
        Index index = hn::Zero(DI());
        for (uint32_t r = first_row; r < last_row; ++r)
          for (uint32_t c = first_column; c < last_column; ++c) {
            const float* at = conv + (top + r - p) * row_floats + uint64_t{left + c - p} * s.out_channels + channel;
            V candidate;
            if (count == lanes) {
              candidate = hn::LoadU(D(), at);
            } else {
              for (size_t i = 0; i < count; ++i) buffer[i] = at[i];
              candidate = hn::Load(D(), buffer);
            }
            const int32_t place = static_cast<int32_t>(r * s.pool_kernel + c);
            if (r == first_row && c == first_column) {
              largest = candidate;
              index = hn::Set(DI(), place);
            } else {
              take_larger(candidate, place, largest, index);
            }
          }
        store_some(relu_of(largest, relu), y + channel, count);
        if (argmax != nullptr) store_some(index, argmax + channel, count);
      }
      if (argmax != nullptr) argmax += s.out_channels;
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#endif  // LT_CONV2D_SAMPLE_INL_H
