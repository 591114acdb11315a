// The kernels that pass a convolution by Winograd: see conv2d_winograd.h for the inner ones. Made in set-up by any thread,
// run by the thread of one executor; all that grows with the shapes lies in the program's scratch.
#pragma once

#include <memory>

#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"

namespace lt::cpu::highway {

// For shapes that winograd_serves_forward, winograd_serves_backward.
std::unique_ptr<Kernel> make_conv2d_winograd(const Program& program, const KernelRequest& request, const Conv2dShape& shape,
                                             Target target);
std::unique_ptr<Kernel> make_conv2d_winograd_backward(const KernelRequest& request, const Conv2dShape& shape,
                                                      Target target);

}  // namespace lt::cpu::highway
