// Kernels of the linear layer: y = dropout(relu(x weight + bias)) and its gradients. Makers as in factory.h.
#pragma once

#include <memory>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::highway {

// Null where the op is not theirs; the sentence then lies in last_error().
std::unique_ptr<Kernel> make_linear(const Program& program, const KernelRequest& request, Target target);
std::unique_ptr<Kernel> make_linear_backward(const Program& program, const KernelRequest& request, Target target);

}  // namespace lt::cpu::highway
