// What a list of measured times comes to. Pure functions: any thread.
#pragma once

#include <cstddef>
#include <vector>

namespace lt::tool {

struct SampleStatistics {
  size_t count = 0;
  // All zero where nothing was measured.
  double median = 0;  // the middle one, or the mean of the middle two
  double p95 = 0;     // the least value that 95 of 100 values do not exceed (nearest rank)
  double mean = 0;
  double deviation = 0;  // of a sample: the root of (squared distances from the mean / (count - 1)); 0 of a single value
  double least = 0, most = 0;
};

SampleStatistics statistics_of(std::vector<double> values);
double median_of(std::vector<double> values);  // 0 of none

// How far apart the least and the greatest are, as a fraction of the median; 0 of fewer than two.
double spread_of(const std::vector<double>& values);

}  // namespace lt::tool
