// A batch of made-up samples for timing a plan's operations: of the kind that its recipe reads, the same from call to call.
#pragma once

#include <cstdint>
#include <vector>

#include "src/plan/plan.h"

namespace lt::tool {

// Uniform in [0, 1), the same from the same index and salt everywhere (the finaliser of splitmix64).
double uniform(uint64_t index, uint64_t salt);

struct OpsBatch {
  std::vector<uint8_t> x;         // Plan::sample_bytes() a sample
  std::vector<int32_t> labels;    // Recipe::labels a sample, -1 behind the last
  std::vector<uint32_t> lengths;  // of sequences with lengths of their own; else empty
};

// Of Program::micro_batch samples. Bytes and numbers (-1 to 1) are uniform; words follow Zipf's law, the k-th as frequent
// as 1/k, so that a batch has about as many different ones as one of real texts; lengths are half to all of the steps.
OpsBatch make_ops_batch(const Plan& plan);

}  // namespace lt::tool
