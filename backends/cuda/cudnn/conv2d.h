// Convolutions by cuDNN. Null after fail(...) where the library has nothing for the op. Set-up's thread.
#pragma once

#include <memory>

#include "backends/cuda/kernel.h"

namespace lt::cuda {

std::unique_ptr<Kernel> make_cudnn_conv2d(const KernelRequest& request);
std::unique_ptr<Kernel> make_cudnn_conv2d_backward(const KernelRequest& request);

}  // namespace lt::cuda
