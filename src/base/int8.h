// The arithmetic of Precision::int8, which every device follows to the bit (src/op.h: ByteScale). Activations are bytes a
// tensor, number = scale * (byte - zero); weights are signed bytes a channel, -127 to 127, number = scale * byte (Jacob et
// al., arXiv 1712.05877, sections 2.1 to 2.4, with one scale a channel and no zero of the weights: Krishnamoorthi, arXiv
// 1806.08342, section 3). A convolution's sums are exact in 32 bits; only turning a sum into a byte rounds:
//
//     sum      = bias + sum over the window of (x - zero_x) * w             whole numbers; x is zero_x in the padding
//     without a residual:  y = zero_y + round(factor * sum)
//     with a residual:     y = zero_y + (round(256 factor * sum) + round(256 residual_factor * (r - zero_r)) + 128) / 256
//     factor   = scale_x * scale_w / scale_y, residual_factor = scale_r / scale_y
//
// rounded to the nearest, halves to even, the division downwards, and y held to 0 .. 255, which is ReLU too where zero_y is
// 0. No product is added to in float, so that no compiler can join the two in another rounding. NaN does not occur: ranges
// are finite (src/run/calibration.h). All functions are constexpr, so that CUDA's kernels may call them too.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace lt {

inline constexpr float weight_most = 127;           // of a weight in bytes, either sign
inline constexpr float residual_steps = 256;        // of a byte, in which a sum and its residual are added
inline constexpr float requantised_most = 0x1p29f;  // either sign, in front of the addition

// The scale of weights whose largest magnitude this is; those of a channel of zeros are zeros by any scale.
constexpr float weight_scale(float largest) { return largest > 0 ? largest / weight_most : 1; }
constexpr int8_t weight_byte(float weight, float scale) {
  return static_cast<int8_t>(std::clamp(std::nearbyint(weight / scale), -weight_most, weight_most));
}

// A bias in units of scale_x * scale_w; far from what a sum can overflow by.
constexpr int32_t bias_steps(float bias, float scale_x, float scale_w) {
  const double steps = static_cast<double>(bias) / (static_cast<double>(scale_x) * static_cast<double>(scale_w));
  return static_cast<int32_t>(std::nearbyint(std::clamp(steps, -0x1p29, 0x1p29)));
}

constexpr float output_factor(float scale_x, float scale_w, float scale_y) {
  return static_cast<float>(static_cast<double>(scale_x) * static_cast<double>(scale_w) / static_cast<double>(scale_y));
}
constexpr float residual_factor(float scale_r, float scale_y) {
  const double factor = static_cast<double>(scale_r) / static_cast<double>(scale_y);
  return static_cast<float>(std::min(factor, 0x1p13));  // so that requantised_most holds no residual back
}

constexpr int32_t rounded_steps(int32_t number, float factor) {
  return static_cast<int32_t>(
      std::nearbyint(std::clamp(static_cast<float>(number) * factor, -requantised_most, requantised_most)));
}
constexpr uint8_t to_byte(int32_t steps, int32_t zero) { return static_cast<uint8_t>(std::clamp(steps + zero, 0, 255)); }

constexpr uint8_t requantised(int32_t sum, float factor, uint8_t zero) { return to_byte(rounded_steps(sum, factor), zero); }
constexpr uint8_t requantised(int32_t sum, float factor, int32_t residual, float residual_factor, uint8_t zero) {
  const int32_t steps =
      rounded_steps(sum, factor * residual_steps) + rounded_steps(residual, residual_factor * residual_steps);
  return to_byte((steps + 128) >> 8, zero);
}

// The input's bytes: number = (value * scale - mean) / deviation, as src/op.h has it.
constexpr uint8_t input_byte(uint8_t value, float scale, float mean, float deviation, float scale_y, uint8_t zero) {
  const double number = (static_cast<double>(value) * static_cast<double>(scale) - static_cast<double>(mean)) /
                        static_cast<double>(deviation);
  const double steps = std::nearbyint(number / static_cast<double>(scale_y)) + zero;
  return static_cast<uint8_t>(std::clamp(steps, 0.0, 255.0));
}

// The mean of `pixels` bytes whose sum, without their zeros, this is.
constexpr float average_of(int32_t sum, float scale, uint64_t pixels) {
  return static_cast<float>(sum) * static_cast<float>(static_cast<double>(scale) / static_cast<double>(pixels));
}

}  // namespace lt
