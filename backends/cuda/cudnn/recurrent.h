// Recurrent layers by cuDNN: of floats, in runs whose samples all have all steps; the others the own kernels do. Null after
// fail(...) where the library has nothing for the op. Set-up's thread.
#pragma once

#include <memory>

#include "backends/cuda/kernel.h"

namespace lt::cuda {

// Whether these serve the op at all; the own kernels do the others. The library's sums are the same in every run or not, as
// it likes: it is not asked where that matters.
bool cudnn_has_recurrent(const KernelRequest& request);

std::unique_ptr<Kernel> make_cudnn_recurrent(const KernelRequest& request);
std::unique_ptr<Kernel> make_cudnn_recurrent_backward(const KernelRequest& request);

}  // namespace lt::cuda
