// From joined layers to a program for one micro-batch size: forward ops, loss, backward ops, update, and their tensors with
// sizes and lifetimes; then the offsets. Used by plan_make alone.
#pragma once

#include "src/plan/plan.h"

namespace lt {

// Adds the ops and tensors of `joined` to `plan` (program, parameters, named tensors) for `micro_batch` samples a run.
void program_build(const std::vector<JoinedLayer>& joined, uint32_t micro_batch, Plan* plan);
// Asks the device what every op needs; adds `saved` tensors and the scratch.
Status program_prepare(Plan* plan);
// Gives every tensor its offset: parameters and state one after the other, activations by lifetime (largest first, the
// lowest gap that fits; Pisarchyk & Lee, arXiv 2001.03288), then scratch and staging.
Status program_place(uint64_t guard_bytes, Plan* plan);

}  // namespace lt
