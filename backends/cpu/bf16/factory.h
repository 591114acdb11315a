// Makes the native kernel of an op of a bf16 program: products on the processor's own bf16 unit. Called in set-up, from any
// thread; the kernel belongs to the caller.
#pragma once

#include <memory>

#include "backends/cpu/bf16/unit.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::bf16 {

// Null where the unit does not serve the op, or other kernels do so faster; the sentence then lies in last_error().
std::unique_ptr<Kernel> make_kernel(const Program& program, const KernelRequest& request, Unit unit);

}  // namespace lt::cpu::bf16
