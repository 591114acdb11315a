// Linear layers by cuBLASLt. Null after fail(...) where the library has nothing for the op. Set-up's thread.
#pragma once

#include <memory>

#include "backends/cuda/kernel.h"

namespace lt::cuda {

std::unique_ptr<Kernel> make_cublaslt_linear(const KernelRequest& request);
std::unique_ptr<Kernel> make_cublaslt_linear_backward(const KernelRequest& request);

}  // namespace lt::cuda
