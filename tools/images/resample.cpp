// Two passes, across and then down: see resample.h.
#include "tools/images/resample.h"

#include <algorithm>
#include <cmath>

namespace lt::tool {
namespace {

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> ResampleAxis::places, 0, 255)); }

constexpr int32_t half = 1 << (ResampleAxis::places - 1);

// Where the middle begins, an odd rest halved as Python's round does: to the even number.
uint64_t middle(uint64_t all, uint64_t part) {
  const uint64_t rest = all - part, begin = rest / 2;
  return begin + (rest % 2 == 1 && begin % 2 == 1 ? 1 : 0);
}

}  // namespace

void ResampleAxis::set(uint32_t inputs, uint64_t outputs, uint64_t begin, uint64_t end) {
  const double scale = static_cast<double>(inputs) / static_cast<double>(outputs), width = std::max(scale, 1.0);
  taps = static_cast<uint32_t>(std::ceil(width)) * 2 + 1;
  const size_t n = end - begin;
  first.resize(n);
  count.resize(n);
  weights.assign(n * taps, 0);
  std::vector<double> exact(taps);
  for (size_t i = 0; i < n; ++i) {
    const double centre = (static_cast<double>(begin + i) + 0.5) * scale;
    const auto low = static_cast<int64_t>(centre - width + 0.5), high = static_cast<int64_t>(centre + width + 0.5);
    first[i] = static_cast<uint32_t>(std::max<int64_t>(low, 0));
    count[i] = static_cast<uint32_t>(std::min<int64_t>(high, inputs)) - first[i];
    double sum = 0;
    for (uint32_t k = 0; k < count[i]; ++k) {
      const double distance = std::abs((first[i] + k - centre + 0.5) * (1.0 / width));
      exact[k] = distance < 1 ? 1 - distance : 0;
      sum += exact[k];
    }
    for (uint32_t k = 0; k < count[i]; ++k)
      weights[i * taps + k] = static_cast<int32_t>(0.5 + exact[k] / sum * (1 << places));
  }
}

void Resampler::begin(uint32_t width, uint32_t height) {
  const uint64_t shorter = std::min(width, height), longer = std::max(width, height);
  const uint64_t long_side = uint64_t{shorter_side_} * longer / shorter;
  const uint64_t across = width <= height ? shorter_side_ : long_side, down = width <= height ? long_side : shorter_side_;
  const uint64_t left = middle(across, side_), top = middle(down, side_);
  across_.set(width, across, left, left + side_);
  down_.set(height, down, top, top + side_);
  width_ = width;
  next_row_ = 0;
  first_row_ = down_.first.front();
  end_row_ = 0;
  for (uint32_t i = 0; i < side_; ++i) end_row_ = std::max(end_row_, down_.first[i] + down_.count[i]);
  rows_.resize(size_t{end_row_ - first_row_} * side_ * channels_);
  if (channels_ == 1) grey_.resize(width);
}

void Resampler::row_pass(const uint8_t* pixels, uint8_t* out) const {
  for (uint32_t i = 0; i < side_; ++i) {
    const int32_t* const weights = &across_.weights[size_t{i} * across_.taps];
    const uint8_t* in = pixels + size_t{across_.first[i]} * channels_;
    if (channels_ == 1) {
      int32_t sum = half;
      for (uint32_t k = 0; k < across_.count[i]; ++k) sum += in[k] * weights[k];
      out[i] = to_byte(sum);
    } else {
      int32_t red = half, green = half, blue = half;
      for (uint32_t k = 0; k < across_.count[i]; ++k, in += 3) {
        red += in[0] * weights[k];
        green += in[1] * weights[k];
        blue += in[2] * weights[k];
      }
      out[3 * i] = to_byte(red);
      out[3 * i + 1] = to_byte(green);
      out[3 * i + 2] = to_byte(blue);
    }
  }
}

void Resampler::row(const uint8_t* rgb) noexcept {
  const uint32_t y = next_row_++;
  if (y < first_row_ || y >= end_row_) return;
  const uint8_t* pixels = rgb;
  if (channels_ == 1) {
    // ITU-R 601, in 16 binary places.
    for (uint32_t x = 0; x < width_; ++x, rgb += 3)
      grey_[x] = static_cast<uint8_t>((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16);
    pixels = grey_.data();
  }
  row_pass(pixels, &rows_[size_t{y - first_row_} * side_ * channels_]);
}

void Resampler::finish(uint8_t* out) {
  const size_t row_bytes = size_t{side_} * channels_, plane = size_t{side_} * side_;
  std::vector<int32_t> sums(row_bytes);
  for (uint32_t i = 0; i < side_; ++i) {
    std::fill(sums.begin(), sums.end(), half);
    const uint8_t* in = &rows_[(down_.first[i] - first_row_) * row_bytes];
    for (uint32_t k = 0; k < down_.count[i]; ++k, in += row_bytes) {
      const int32_t weight = down_.weights[size_t{i} * down_.taps + k];
      for (size_t e = 0; e < row_bytes; ++e) sums[e] += in[e] * weight;
    }
    for (uint32_t x = 0; x < side_; ++x)
      for (uint32_t c = 0; c < channels_; ++c) out[c * plane + i * side_ + x] = to_byte(sums[x * channels_ + c]);
  }
}

}  // namespace lt::tool
