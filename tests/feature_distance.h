// How far features of pictures are from those expected, for tests of them on any device.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace lt {

// The largest distance of a picture's features, `feature_count` numbers, from the expected ones, by the length of those;
// infinite where sizes differ or a number is none.
inline double feature_distance(const std::vector<float>& found, const std::vector<float>& expected, size_t feature_count) {
  if (found.size() != expected.size() || found.empty()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (size_t first = 0; first < found.size(); first += feature_count) {
    double difference = 0, square = 0;
    for (size_t i = first; i < first + feature_count; ++i) {
      difference += std::pow(double{found[i]} - double{expected[i]}, 2);
      square += std::pow(double{expected[i]}, 2);
    }
    const double distance = std::sqrt(difference / square);
    if (!(distance < std::numeric_limits<double>::infinity())) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, distance);
  }
  return largest;
}

}  // namespace lt
