// Order statistics and moments: see statistics.h.
#include "tools/bench/statistics.h"

#include <algorithm>
#include <cmath>

namespace lt::tool {

SampleStatistics statistics_of(std::vector<double> values) {
  SampleStatistics found;
  found.count = values.size();
  if (values.empty()) return found;
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  found.least = values.front();
  found.most = values.back();
  found.median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  found.p95 = values[(95 * n + 99) / 100 - 1];
  for (const double value : values) found.mean += value / static_cast<double>(n);
  double squares = 0;
  for (const double value : values) squares += (value - found.mean) * (value - found.mean);
  if (n > 1) found.deviation = std::sqrt(squares / static_cast<double>(n - 1));
  return found;
}

double median_of(std::vector<double> values) { return statistics_of(std::move(values)).median; }

double spread_of(const std::vector<double>& values) {
  const SampleStatistics found = statistics_of(values);
  return found.median > 0 ? (found.most - found.least) / found.median : 0;
}

}  // namespace lt::tool
