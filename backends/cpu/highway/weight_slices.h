// The weight of a linear layer as its products take it: floats where they lie, in one piece, or bfloat16 widened slice by
// slice into scratch, so that the floats never leave the cache. Owns nothing but sizes; the executor's thread calls.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cpu/highway/bf16.h"
#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {

class WeightSlices {
 public:
  // `rows` times `row_elements` numbers, as they lie; narrow: of bfloat16.
  WeightSlices(bool narrow, uint32_t rows, uint32_t row_elements, Target target)
      : narrow_(narrow), rows_(rows), row_elements_(row_elements), widen_(for_target(widen_row_table, target)) {
    const uint64_t most = std::max<uint64_t>(slice_bytes / (row_elements * sizeof(float)), 1);
    slice_rows_ = narrow ? static_cast<uint32_t>(divide_up(rows, divide_up(rows, most))) : rows;
  }

  uint32_t slice_rows() const { return slice_rows_; }  // of the largest one
  uint64_t scratch_bytes() const {
    return narrow_ ? align_up(slice_rows_ * row_elements_ * sizeof(float), tensor_alignment) : 0;
  }

  // multiply(first row, rows, their floats), slice after slice.
  template <class Multiply>
  void each(const KernelContext& context, TensorId weight, std::byte* scratch, const Multiply& multiply) const {
    if (!narrow_) return multiply(0, rows_, context.at<float>(weight));
    auto* const floats = reinterpret_cast<float*>(scratch);
    for (uint32_t first = 0; first < rows_; first += slice_rows_) {
      const uint32_t rows = std::min(slice_rows_, rows_ - first);
      const Bf16* const from = context.at<Bf16>(weight) + first * row_elements_;
      convert_on_pool(context.pool, widen_, from, rows * row_elements_, floats);
      multiply(first, rows, static_cast<const float*>(floats));
    }
  }

 private:
  // Half a second cache; with fewer, threads would spend their time waiting for each other.
  static constexpr uint64_t slice_bytes = uint64_t{1} << 20;

  bool narrow_;
  uint32_t rows_, slice_rows_;
  uint64_t row_elements_;
  WidenRow* widen_;
};

}  // namespace lt::cpu::highway
