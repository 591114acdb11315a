// A convolution with a residual by a kernel that knows none: into scratch, and the sum and its ReLU behind it. For windows
// that networks with residuals seldom have; see conv2d_pointwise.h for the others.
#pragma once

#include <memory>

#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::highway {

std::unique_ptr<Kernel> make_conv2d_residual(const Program& program, const KernelRequest& request, Target target);

}  // namespace lt::cpu::highway
