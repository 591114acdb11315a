// The convolutions of the CPU backend in Highway: conv2d with bias, max-pool, ReLU and dropout in one kernel, and its
// backward pass, which walks only the gradients that are not zero. A kernel owns its small tables; all that grows with
// the shapes lies in the program's scratch. Made in set-up by any thread, run by the thread of one executor.
#pragma once

#include <memory>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::highway {

// Null, with a sentence in last_error(), for a shape that there is no code for.
std::unique_ptr<Kernel> make_conv2d(const Program& program, const KernelRequest& request, Target target);
std::unique_ptr<Kernel> make_conv2d_backward(const Program& program, const KernelRequest& request, Target target);

}  // namespace lt::cpu::highway
