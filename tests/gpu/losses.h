// Losses on the GPU beside the processor's, from the same weights on the same batches.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace lt::cuda {

// Relative; of a loss below a tenth, absolute in tenths. fp32 differs by the order of sums. The others round operands by up
// to 2^-11 and 2^-9 at every product, which training carries on: Adam turns the sign of small gradients into whole steps,
// and `linear` swings at its learning rate of 1. The largest differences on the fakes were 7e-4 and 3e-3.
inline double loss_bound(const std::string& precision) {
  if (precision == "fp32") return 1e-3;
  return precision == "tf32" ? 5e-3 : 5e-2;
}

inline void expect_losses(const std::vector<double>& found, const std::vector<double>& expected,
                          const std::string& precision) {
  ASSERT_EQ(found.size(), expected.size());
  const double bound = loss_bound(precision);
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double apart = std::abs(found[i] - expected[i]) / std::max(expected[i], 0.1);
    EXPECT_LE(apart, bound) << "step " << i + 1 << ": " << found[i] << ", on the processor " << expected[i];
    worst = std::isnan(apart) ? apart : std::max(worst, apart);
  }
  std::printf("losses from %.6f to %.6f, largest relative difference %.2e, bound %.0e\n", found.front(), found.back(),
              worst, bound);
}

}  // namespace lt::cuda
