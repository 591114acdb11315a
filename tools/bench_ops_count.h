// How much arithmetic a step of a plan is: the multiplications and additions of its products, which are all but all of it.
// Both counts are of the plain loops: Winograd's form, and a max-pool whose losers are skipped, do fewer, and so may pass
// the machine's peak. Main thread; makes the plan once more, and frees it.
#pragma once

#include <cstdint>

#include "src/backend.h"
#include "src/lean_train.h"

namespace lt::tool {

struct OperationCount {
  double nominal = 0;  // dense: what falls on a convolution's zero border or behind a sequence's end is counted too
  double real = 0;     // without these
};

// Of one sample, in multiply-adds; `length_share` as below. None but products have any.
OperationCount multiply_adds(const Op& op, double length_share);

// Of one step of `samples` samples of a built-in recipe. `length_share`: the samples' mean length by the most steps that a
// sequence can have; 1 where samples are none.
lt_status count_operations(const char* recipe, uint64_t samples, double length_share, OperationCount* count);

}  // namespace lt::tool
