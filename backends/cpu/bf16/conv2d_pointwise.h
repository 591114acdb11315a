// Convolutions of 1x1 kernels in programs for inference: pixels x channels times channels x outputs, with bias, residual
// and ReLU behind the sums. Weights are packed once. Kernels as in conv2d.h.
#pragma once

#include <memory>

#include "backends/cpu/bf16/unit.h"
#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::bf16 {

bool pointwise_serves(const Program& program, const Op& op);
std::unique_ptr<Kernel> make_conv2d_pointwise(const KernelRequest& request, const highway::Conv2dShape& shape, Unit unit);

}  // namespace lt::cpu::bf16
