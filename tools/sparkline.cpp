// Columns of means. See sparkline.h.
#include "tools/sparkline.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lt::tool {

void Sparkline::add(double value) {
  if (!std::isfinite(value)) return;
  if (full_ == columns_most) {
    for (size_t i = 0; i < columns_most / 2; ++i) sums_[i] = sums_[2 * i] + sums_[2 * i + 1];
    full_ = columns_most / 2;
    each_ *= 2;
  }
  if (gathered_ == 0) sums_[full_] = 0;
  sums_[full_] += value;
  if (++gathered_ < each_) return;
  gathered_ = 0;
  ++full_;
}

double Sparkline::mean_of(size_t first, size_t last) const {
  double sum = 0, count = 0;
  for (size_t i = first; i < last; ++i) {
    sum += sums_[i];
    count += static_cast<double>(i < full_ ? each_ : gathered_);
  }
  return sum / count;
}

size_t Sparkline::draw(size_t columns, char text[bytes_most]) const {
  const size_t there = this->columns(), drawn = std::min(columns, there);
  double means[columns_most], low = std::numeric_limits<double>::infinity(), high = -low;
  for (size_t i = 0; i < drawn; ++i) {
    means[i] = mean_of(i * there / drawn, (i + 1) * there / drawn);
    low = std::min(low, means[i]);
    high = std::max(high, means[i]);
  }
  char* end = text;
  for (size_t i = 0; i < drawn; ++i) {
    const double part = high > low ? (means[i] - low) / (high - low) : 0;
    *end++ = '\xE2', *end++ = '\x96';
    *end++ = static_cast<char>(0x81 + static_cast<int>(std::lround(7 * part)));
  }
  *end = '\0';
  return drawn;
}

}  // namespace lt::tool
