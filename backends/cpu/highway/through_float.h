// bf16 by the fp32 kernels: whatever reads and writes bfloat16 and has no kernel of its own for it is widened to floats a
// few samples at a time, goes through the fp32 kernel, and is rounded. So every operation runs in bf16 on every processor,
// at the fp32 kernel's speed less the conversions.
#pragma once

#include <memory>

#include "backends/cpu/bf16/unit.h"
#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::highway {

// Whether the op is one that this is for: a product or an activation with bfloat16 among its tensors.
bool goes_through_float(const Program& program, const Op& op);

// Recurrent ops multiply in bfloat16 inside, by `unit`, where rows were of bfloat16 or would be in their own kernel's way.
// Null where the fp32 kernel is missing; the sentence then lies in last_error(). Set-up, any thread.
std::unique_ptr<Kernel> make_through_float(const Program& program, const KernelRequest& request, Target target,
                                           bf16::Unit unit = bf16::Unit::none);

}  // namespace lt::cpu::highway
