// The range that a tensor's bytes stand for, found from numbers that it took: a histogram of their magnitudes, and the
// limit that loses least. What is beyond a limit is held to it, what is below is rounded to steps: a small limit errs much
// on few numbers, a large one a little on all others. Taken is the limit with the least sum of squared errors (Sung, Shin &
// Hwang, arXiv 1511.06488, section 3.1); the largest number, the plainest choice (Krishnamoorthi, arXiv 1806.08342,
// section 3.1), is one of those tried. The session's thread; allocates when it is made.
#pragma once

#include <cstdint>
#include <vector>

namespace lt {

class Calibration {
 public:
  Calibration() : counts_(bins) {}
  void add(const float* numbers, uint64_t n);
  // False once a number was not finite.
  bool finite() const { return finite_; }
  // For a tensor of which `steps` bytes are on one side of its zero: the size of a step; 1 where all numbers were 0.
  float scale(uint32_t steps) const;

 private:
  static constexpr uint32_t bins = 4096;
  double squared_error(uint32_t limit_bins, uint32_t steps) const;
  void widen(float to);

  std::vector<uint64_t> counts_;  // of magnitudes, in bins of equal width from 0 to range_; zeros are left out
  float range_ = 0;
  float largest_ = 0;
  bool finite_ = true;
};

}  // namespace lt
