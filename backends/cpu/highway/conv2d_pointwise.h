// Convolutions of 1x1 kernels, which are products of matrices: pixels x channels times channels x outputs. A residual that
// lies in y is what the product is added to. Kernels as in conv2d.h.
#pragma once

#include <memory>

#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::highway {

bool pointwise_serves(const Op& op);
std::unique_ptr<Kernel> make_conv2d_pointwise(const Program& program, const KernelRequest& request,
                                              const Conv2dShape& shape, Target target);

}  // namespace lt::cpu::highway
