// Images made smaller or larger as torchvision prepares them for a network, from rows that arrive one after the other: the
// shorter side becomes `shorter_side`, by Pillow's bilinear filter with its rounding, and of the result the middle `side` x
// `side` is kept: transforms.Resize(shorter_side) and CenterCrop(side) on a Pillow image. Across is done before down, as
// Pillow always did until it learned to go down first where that is less work, which rounds a byte otherwise now and then.
// Only what the middle needs is computed.
//
// Memory: rows of `side` pixels, about as many as the image's shorter side has. One thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "tools/images/decode.h"

namespace lt::tool {

// Some outputs of one axis: output i is the sum over k < count[i] of weights[i * taps + k] * input[first[i] + k], in fixed
// point.
//
// The filter is a triangle as wide as two outputs, or two inputs where the image grows: with scale = inputs / outputs and
// width = max(scale, 1), the input j has in output i the weight max(0, 1 - |j + 1/2 - (i + 1/2) scale| / width), by their
// sum (Pillow's documentation, "Concepts: filters"). Outputs of both passes are rounded to bytes, weights to 22 binary
// places.
struct ResampleAxis {
  static constexpr int places = 22;
  uint32_t taps = 0;
  std::vector<uint32_t> first, count;
  std::vector<int32_t> weights;

  // Outputs begin .. end - 1 of `outputs`.
  void set(uint32_t inputs, uint64_t outputs, uint64_t begin, uint64_t end);
};

class Resampler final : public RowSink {
 public:
  // channels 3: [channel][row][column] of red, green and blue; 1: grey, as Pillow's convert("L") weighs them, before
  // resampling.
  Resampler(uint32_t side, uint32_t shorter_side, uint32_t channels)
      : side_(side), shorter_side_(shorter_side), channels_(channels) {}

  void begin(uint32_t width, uint32_t height) override;
  void row(const uint8_t* rgb) noexcept override;
  // channels * side * side bytes, after the last row.
  void finish(uint8_t* out);

 private:
  void row_pass(const uint8_t* pixels, uint8_t* out) const;

  const uint32_t side_, shorter_side_, channels_;
  ResampleAxis across_, down_;
  uint32_t width_ = 0, next_row_ = 0, first_row_ = 0, end_row_ = 0;
  std::vector<uint8_t> rows_;  // first_row_ .. end_row_, [row][column][channel], after the pass across
  std::vector<uint8_t> grey_;  // one row
};

}  // namespace lt::tool
