// The kernels that move a training on by itself, one thread each: they set StepState, count steps, and keep loops of a
// graph running.
#pragma once

#include <cstdint>

#include "backends/cuda/kernels/step_state.h"

#define LT_CUDA_CONTROL_KERNELS(K)                 \
  K(control, state_set, StateSetArguments)         \
  K(control, state_begin, StateBeginArguments)     \
  K(control, state_advance, StateAdvanceArguments) \
  K(control, state_end, StateEndArguments)

namespace lt::cuda {

// How often the loops of a graph go round, and the state they start from: pinned host memory that the device reads.
inline constexpr uint32_t graph_loops = 3;
struct LoopControl {
  StepState start;
  uint32_t rounds[graph_loops];
};

// *state = value
struct StateSetArguments {
  StepState* state;
  StepState value;
};

// *state = control->start; remaining[] = control->rounds[]; loop i is entered where it has rounds to go.
struct StateBeginArguments {
  StepState* state;
  uint32_t* remaining;  // graph_loops of them
  const LoopControl* control;
  uint64_t loop_handles[graph_loops];  // of conditional nodes; 0: there is none
};

// The end of a step of `samples` samples. With statistics (training): takes them in and moves on, or halts where a loss was
// not finite: then `last` is that step's and nothing else changes. Without: the position alone moves on. Where last_of_loop
// is below graph_loops, that loop has gone round once more, and goes on while it has rounds to go and nothing halted.
struct StateAdvanceArguments {
  StepState* state;
  const Statistics* statistics;
  uint32_t samples;
  uint32_t last_of_loop;
  uint32_t* remaining;
  uint64_t loop_handle;
};

// *result = *state, in pinned host memory; with statistics (evaluation) they stand in result->sum.
struct StateEndArguments {
  const StepState* state;
  const Statistics* statistics;
  StepState* result;
};

}  // namespace lt::cuda
