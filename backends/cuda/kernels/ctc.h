// Kernels of connectionist temporal classification (Graves et al. 2006; see OpKind::ctc). Rows of x are [time][sample], a
// warp each in ctc_rows; a sample is one block in ctc_paths, which walks forward and back over its steps; ctc_gradient has
// a block for each row. Forward and backward variables are logarithms, in double, and every sum has an order of its own.
//
// L labels have 2 L + 1 states: blank, label, blank ... blank.
#pragma once

#include <cstdint>

#include "src/op.h"

// K(module, kernel, Arguments)
#define LT_CUDA_CTC_KERNELS(K)    \
  K(ctc, ctc_rows, CtcArguments)  \
  K(ctc, ctc_paths, CtcArguments) \
  K(ctc, ctc_gradient, CtcArguments)

namespace lt::cuda {

inline constexpr uint32_t ctc_row_threads = 256;       // eight rows
inline constexpr uint32_t ctc_path_threads = 1024;     // at most
inline constexpr uint32_t ctc_gradient_threads = 128;  // of a row's classes
struct CtcArguments {
  const float* x;           // [row][class], class 0 the blank
  const int32_t* labels;    // [sample][label_count], -1 behind the last
  const uint32_t* lengths;  // [sample]; null: all have all steps
  double* log_sums;         // [row]: a logit minus it is the logarithm of its softmax
  int32_t* best;            // [row]: the largest logit's class, the first of equals
  double* paths;            // [sample][step][state]: forward variables, then the chance to be in the state
  double* states;           // [sample][2][state] where shared memory does not hold them; else null
  double* likelihoods;      // [sample]: logarithms
  Statistics* partials;     // [sample]
  void* dx;                 // [row][class]; null: not wanted
  uint32_t steps, samples, classes, label_count, batch_samples;
  uint32_t bf16;  // type of dx
};

constexpr uint32_t ctc_states(uint32_t label_count) { return 2 * label_count + 1; }

}  // namespace lt::cuda
