#include "backends/cuda/driver.h"

#include <cstdlib>

#include "backends/cuda/modules.h"

namespace lt::cuda {
namespace {

struct KernelName {
  const char* module;
  const char* name;
};

constexpr KernelName kernel_names[] = {
#define LT_KERNEL_NAME(module, kernel, Arguments) {#module, #kernel},
    LT_CUDA_KERNELS(LT_KERNEL_NAME)
#undef LT_KERNEL_NAME
};

}  // namespace

const char* kernel_name(KernelId id) { return kernel_names[static_cast<uint32_t>(id)].name; }
const char* kernel_module(KernelId id) { return kernel_names[static_cast<uint32_t>(id)].module; }

Status check(const DriverTable& driver, CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return Status::ok;
  const char *name = nullptr, *text = nullptr;
  (void)driver.cuGetErrorName(result, &name);
  (void)driver.cuGetErrorString(result, &text);
  const Status status = result == CUDA_ERROR_OUT_OF_MEMORY ? Status::memory : Status::device;
  if (name == nullptr) return fail(status, "%s: the driver's error %d", what, static_cast<int>(result));
  return fail(status, "%s: %s%s%s", what, name, text != nullptr ? ", " : "", text != nullptr ? text : "");
}

Status Launcher::launch_any(KernelId id, Grid grid, uint32_t threads, uint32_t shared_bytes, const void* arguments) const {
  // The driver takes the address of each argument, and reads what it points at before it returns.
  void* addresses[] = {const_cast<void*>(arguments)};
  const CUresult result = driver->cuLaunchKernel(kernels->functions[static_cast<uint32_t>(id)], grid.x, grid.y, grid.z,
                                                 threads, 1, 1, shared_bytes, stream, addresses, nullptr);
  return result == CUDA_SUCCESS ? Status::ok : check(*driver, result, kernel_name(id));
}

}  // namespace lt::cuda
