// The median of the steps' times. One thread.
#include "tools/step_times.h"

#include <algorithm>
#include <limits>

namespace lt::tool {

StepTimes::StepTimes() : seconds_(new float[capacity]), sorted_(new float[capacity + 2]) {}

void StepTimes::add(double seconds, uint64_t steps) {
  for (uint64_t i = 0; i < steps; ++i) add_one(seconds / static_cast<double>(steps));
}

void StepTimes::add_one(double seconds) {
  const uint64_t index = count_++;
  if (index < 2) {
    first_[index] = seconds;
    return;
  }
  if ((index - 2) % stride_ != 0) return;
  if (kept_ == capacity) {
    for (size_t i = 0; i < capacity / 2; ++i) seconds_[i] = seconds_[2 * i];
    kept_ = capacity / 2;
    stride_ *= 2;  // capacity is even, so this step's place is a multiple of the new stride
  }
  seconds_[kept_++] = static_cast<float>(seconds);
}

double StepTimes::median() const {
  size_t n = kept_;
  std::copy_n(seconds_.get(), n, sorted_.get());
  if (count_ <= 3)
    for (uint64_t i = 0; i < std::min<uint64_t>(count_, 2); ++i) sorted_[n++] = static_cast<float>(first_[i]);
  if (n == 0) return std::numeric_limits<double>::quiet_NaN();
  float* const middle = sorted_.get() + n / 2;
  std::nth_element(sorted_.get(), middle, sorted_.get() + n);
  if (n % 2 == 1) return *middle;
  return (static_cast<double>(*middle) + *std::max_element(sorted_.get(), middle)) / 2;
}

}  // namespace lt::tool
