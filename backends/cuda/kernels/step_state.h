// What changes from step to step, in device memory, so that one captured graph serves every step: kernels read it, the
// kernels of control.cu move it on.
#pragma once

#include <cstdint>

#include "src/op.h"

namespace lt::cuda {

struct StepState {
  uint64_t seed = 0;
  uint64_t step = 0;      // counted from 1: dropout's stream, Adam's bias correction
  uint64_t epoch = 0;     // of the shuffled order
  uint32_t position = 0;  // in that order, of the batch's first sample
  uint32_t count = 0;     // samples of the kept set
  uint32_t shuffle = 0;   // 0: the set's own order
  uint32_t halted = 0;    // a step's loss was not finite: all further steps leave everything as it is
  uint32_t steps_done = 0;
  float learning_rate = 0, momentum = 0, beta1 = 0, beta2 = 0, epsilon = 0;
  Statistics last, sum;
};

}  // namespace lt::cuda
