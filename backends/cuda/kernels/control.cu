// See control.h.
#include "backends/cuda/kernels/control.h"

#include "backends/cuda/kernels/device.h"

namespace lt::cuda {

LT_DEVICE void enter_loop(uint64_t handle, bool enters) {
  if (handle != 0) cudaGraphSetConditional(handle, enters ? 1 : 0);
}

LT_KERNEL(state_set, StateSetArguments, 1) { *a.state = a.value; }

LT_KERNEL(state_begin, StateBeginArguments, 1) {
  *a.state = a.control->start;
  for (uint32_t i = 0; i < graph_loops; ++i) {
    const uint32_t rounds = a.control->rounds[i];
    a.remaining[i] = rounds;
    enter_loop(a.loop_handles[i], rounds > 0);
  }
}

LT_KERNEL(state_advance, StateAdvanceArguments, 1) {
  StepState& state = *a.state;
  if (state.halted == 0) {
    if (a.statistics == nullptr) {
      state.position += a.samples;
    } else {
      const Statistics statistics = *a.statistics;
      state.last = statistics;
      if (statistics.non_finite != 0) {
        state.halted = 1;
      } else {
        ++state.step;
        ++state.steps_done;
        state.position += a.samples;
        state.sum.loss_sum += statistics.loss_sum;
        state.sum.correct += statistics.correct;
        state.sum.non_finite += statistics.non_finite;
      }
    }
  }
  if (a.last_of_loop >= graph_loops) return;
  uint32_t& remaining = a.remaining[a.last_of_loop];
  remaining = state.halted != 0 || remaining == 0 ? 0 : remaining - 1;
  enter_loop(a.loop_handle, remaining > 0);
}

LT_KERNEL(state_end, StateEndArguments, 1) {
  *a.result = *a.state;
  if (a.statistics != nullptr) a.result->sum = *a.statistics;
}

}  // namespace lt::cuda
