// The linear layer in bfloat16 on the processor's own products. A kernel owns its sizes alone; memory is the program's.
#pragma once

#include <memory>

#include "backends/cpu/bf16/unit.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::bf16 {

// Null, with a sentence in last_error(), where the op is not served: weights laid out as out_in, tensors that are not
// bfloat16, a pool.
std::unique_ptr<Kernel> make_linear(const Program& program, const KernelRequest& request, Unit unit);
std::unique_ptr<Kernel> make_linear_backward(const Program& program, const KernelRequest& request, Unit unit);

}  // namespace lt::cpu::bf16
