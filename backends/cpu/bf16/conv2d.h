// Convolutions in bfloat16 on the processor's own products, with bias, max-pool, ReLU and dropout joined. A kernel owns its
// sizes alone; memory is the program's.
#pragma once

#include <memory>

#include "backends/cpu/bf16/unit.h"
#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::bf16 {

// Null, with a sentence in last_error(), where the op is not served, or kernels for floats are faster: see conv2d_served.
std::unique_ptr<Kernel> make_conv2d(const Program& program, const KernelRequest& request, Unit unit);
std::unique_ptr<Kernel> make_conv2d_backward(const Program& program, const KernelRequest& request, Unit unit);

// What both directions need; false with a sentence. Pools that overlap or have padding are left to others, and so is,
// without AMX, what Winograd's form computes in float with a quarter of the products.
bool conv2d_served(const Program& program, const Op& op, Unit unit, highway::Conv2dShape* shape);

}  // namespace lt::cpu::bf16
