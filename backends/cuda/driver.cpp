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

Status Launcher::launch_any(KernelId id, Grid grid, uint32_t threads, uint32_t shared_bytes, uint32_t cluster,
                            const void* arguments) const {
  // The driver takes the address of each argument, and reads what it points at before it returns.
  void* addresses[] = {const_cast<void*>(arguments)};
  const CUfunction function = kernels->functions[static_cast<uint32_t>(id)];
  if (cluster == 1) {
    const CUresult result =
        driver->cuLaunchKernel(function, grid.x, grid.y, grid.z, threads, 1, 1, shared_bytes, stream, addresses, nullptr);
    return result == CUDA_SUCCESS ? Status::ok : check(*driver, result, kernel_name(id));
  }
  constexpr uint32_t portable_cluster = 8;
  if (cluster > portable_cluster)
    LT_TRY(check(*driver, driver->cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1),
                 kernel_name(id)));
  CUlaunchAttribute attribute{};
  attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  attribute.value.clusterDim = {cluster, 1, 1};
  CUlaunchConfig config{};
  config.gridDimX = grid.x;
  config.gridDimY = grid.y;
  config.gridDimZ = grid.z;
  config.blockDimX = threads;
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = shared_bytes;
  config.hStream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  const CUresult result = driver->cuLaunchKernelEx(&config, function, addresses, nullptr);
  return result == CUDA_SUCCESS ? Status::ok : check(*driver, result, kernel_name(id));
}

}  // namespace lt::cuda
