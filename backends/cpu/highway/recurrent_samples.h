// The samples of a run in the order of their lengths, the longest first: at every step of a direction the rows that are
// still in it are the first ones, and no others are computed. And blocks of steps, whose rows lie one behind the other.
// Memory is the caller's. Built by one thread, then read by all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "backends/cpu/highway/recurrent_team.h"

namespace lt::cpu::highway {

class SampleOrder {
 public:
  static uint64_t words(const RecurrentShape& shape) { return uint64_t{2} * shape.samples + shape.steps + 1; }

  // lengths: null where all samples have all steps; memory: words().
  SampleOrder(const RecurrentShape& shape, uint32_t samples, const uint32_t* lengths, uint32_t* memory)
      : samples_(samples), order_(memory), length_(memory + samples), alive_(memory + 2 * uint64_t{samples}) {
    std::iota(order_, order_ + samples, 0u);
    const auto length_of = [&](uint32_t sample) {
      return lengths == nullptr ? shape.steps : std::min(lengths[sample], shape.steps);
    };
    if (lengths != nullptr)
      std::sort(order_, order_ + samples,
                [&](uint32_t a, uint32_t b) { return length_of(a) != length_of(b) ? length_of(a) > length_of(b) : a < b; });
    for (uint32_t row = 0; row < samples; ++row) length_[row] = length_of(order_[row]);
    uint32_t row = samples;
    for (uint32_t step = 0; step <= shape.steps; ++step) {
      while (row > 0 && length_[row - 1] <= step) --row;
      alive_[step] = row;
    }
    whole_ = length_[samples - 1] == shape.steps;
  }

  uint32_t samples() const { return samples_; }
  uint32_t sample(uint32_t row) const { return order_[row]; }
  uint32_t length(uint32_t row) const { return length_[row]; }
  uint32_t longest() const { return length_[0]; }
  // Rows that have this step.
  uint32_t alive(uint32_t step) const { return alive_[step]; }
  // All samples have all steps: rows are the samples in their own order.
  bool whole() const { return whole_; }
  // Where a step of a direction lies in time.
  uint32_t time(bool reverse, uint32_t row, uint32_t step) const { return reverse ? length_[row] - 1 - step : step; }

 private:
  uint32_t samples_;
  uint32_t *order_, *length_, *alive_;
  bool whole_;
};

// Steps [first, last) of a direction. Where all samples have all steps, the rows of a block lie as in the sequences
// themselves, in the order of time; else step after step.
class StepBlock {
 public:
  StepBlock(const SampleOrder& order, bool reverse, uint32_t first, uint32_t last) : first_(first), last_(last) {
    for (uint32_t step = first; step < last; ++step) {
      if (order.whole() && reverse) {
        begin_[step - first] = (last - 1 - step) * order.samples();
        rows_ += order.samples();
      } else {
        begin_[step - first] = rows_;
        rows_ += order.alive(step);
      }
    }
  }
  uint32_t first() const { return first_; }
  uint32_t last() const { return last_; }
  uint32_t rows() const { return rows_; }
  uint32_t begin(uint32_t step) const { return begin_[step - first_]; }

 private:
  uint32_t first_, last_, rows_ = 0;
  uint32_t begin_[RecurrentShape::most_block_steps];
};

// This part's share of a block's rows, copied from a sequence of rows `stride` floats apart to rows of `count` floats.
inline void gather_rows(const SampleOrder& order, const StepBlock& block, bool reverse, const float* sequence,
                        uint64_t stride, uint64_t count, const Team& team, uint32_t part, float* to) {
  for (uint32_t step = block.first(); step < block.last(); ++step) {
    const Range rows = share(order.alive(step), 1, part, team.parts());
    for (uint32_t row = rows.begin; row < rows.end; ++row) {
      const uint64_t time = order.time(reverse, row, step);
      std::memcpy(to + (block.begin(step) + row) * count, sequence + (time * order.samples() + order.sample(row)) * stride,
                  count * sizeof(float));
    }
  }
}

// This part's share of a sequence's rows of `count` floats behind the samples' ends.
inline void zero_padding(const SampleOrder& order, uint32_t steps, uint64_t count, const Team& team, uint32_t part,
                         float* sequence) {
  const Range own = share(order.samples(), 1, part, team.parts());
  for (uint32_t row = own.begin; row < own.end; ++row)
    for (uint64_t time = order.length(row); time < steps; ++time)
      std::fill_n(sequence + (time * order.samples() + order.sample(row)) * count, count, 0.0f);
}

}  // namespace lt::cpu::highway
