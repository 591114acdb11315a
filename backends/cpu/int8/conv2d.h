// Convolutions of programs of Precision::int8 (src/base/int8.h), with bias, residual and ReLU or a max-pool. Set-up makes
// them; see kernel.h.
#pragma once

#include <memory>

#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/targets.h"
#include "backends/cpu/int8/unit.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::int8 {

std::unique_ptr<Kernel> make_conv2d(const Program& program, const KernelRequest& request, Unit unit,
                                    highway::Target target);

// 1x1 windows, in place.
bool pointwise_serves(const Op& op);
std::unique_ptr<Kernel> make_conv2d_pointwise(const KernelRequest& request, const highway::Conv2dShape& shape, Unit unit,
                                              highway::Target target);

}  // namespace lt::cpu::int8
