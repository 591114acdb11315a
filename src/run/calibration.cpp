#include "src/run/calibration.h"

#include <algorithm>
#include <cmath>

namespace lt {

// Doubles the range, two bins becoming one, until `to` lies in it.
void Calibration::widen(float to) {
  if (range_ == 0) range_ = std::exp2(std::ceil(std::log2(to)));
  while (range_ <= to) {
    for (uint32_t bin = 0; bin < bins / 2; ++bin) counts_[bin] = counts_[2 * bin] + counts_[2 * bin + 1];
    std::fill(counts_.begin() + bins / 2, counts_.end(), 0);
    range_ *= 2;
  }
}

void Calibration::add(const float* numbers, uint64_t n) {
  float largest = 0;
  for (uint64_t i = 0; i < n; ++i) {
    finite_ = finite_ && std::isfinite(numbers[i]);
    largest = std::max(largest, std::abs(numbers[i]));
  }
  // Twice it is finite too, and its bins have a width.
  finite_ = finite_ && largest < 0x1p120f;
  if (!finite_ || largest < 0x1p-100f) return;
  largest_ = std::max(largest_, largest);
  if (largest >= range_) widen(largest);
  const float per_bin = bins / range_;
  for (uint64_t i = 0; i < n; ++i)
    if (numbers[i] != 0) ++counts_[static_cast<uint32_t>(std::abs(numbers[i]) * per_bin)];
}

// By the bins' middles: what is beyond the limit loses its distance, the others' error is that of even rounding.
double Calibration::squared_error(uint32_t limit_bins, uint32_t steps) const {
  const double limit = limit_bins, step = limit / steps;
  double sum = 0;
  for (uint32_t bin = 0; bin < bins; ++bin) {
    if (counts_[bin] == 0) continue;
    const double middle = bin + 0.5, beyond = middle - limit;
    sum += static_cast<double>(counts_[bin]) * (beyond > 0 ? beyond * beyond : step * step / 12);
  }
  return sum;
}

float Calibration::scale(uint32_t steps) const {
  if (range_ == 0) return 1;
  const auto most = static_cast<uint32_t>(std::ceil(largest_ / range_ * bins));
  uint32_t best = most;
  double least = squared_error(most, steps);
  // 64ths of the largest are fine enough for a curve this flat.
  for (uint32_t part = 4; part < 64; ++part) {
    const uint32_t limit = std::max(most * part / 64, 1u);
    const double error = squared_error(limit, steps);
    if (error < least) least = error, best = limit;
  }
  const float limit = best == most ? largest_ : static_cast<float>(best) * (range_ / bins);
  return limit / static_cast<float>(steps);
}

}  // namespace lt
