// The driver's functions, as libcuda.so.1 exports them, in a table that is filled when the program runs; tests fill it with
// functions of their own. Names are those that the header's macros stand for (cuMemAlloc_v2).
#pragma once

#include <cuda.h>

#include <cstdint>

#include "backends/cuda/kernels/kernels.h"
#include "src/base/status.h"

// F(name): all that is called.
#define LT_CUDA_DRIVER_FUNCTIONS(F)    \
  F(cuInit)                            \
  F(cuDriverGetVersion)                \
  F(cuDeviceGetCount)                  \
  F(cuDeviceGet)                       \
  F(cuDeviceGetName)                   \
  F(cuDeviceGetAttribute)              \
  F(cuDeviceTotalMem)                  \
  F(cuDevicePrimaryCtxRetain)          \
  F(cuDevicePrimaryCtxRelease)         \
  F(cuCtxSetCurrent)                   \
  F(cuMemGetInfo)                      \
  F(cuGetErrorName)                    \
  F(cuGetErrorString)                  \
  F(cuMemAlloc)                        \
  F(cuMemFree)                         \
  F(cuMemHostAlloc)                    \
  F(cuMemFreeHost)                     \
  F(cuMemHostGetDevicePointer)         \
  F(cuPointerGetAttribute)             \
  F(cuMemcpyHtoDAsync)                 \
  F(cuMemcpyDtoHAsync)                 \
  F(cuMemsetD8Async)                   \
  F(cuStreamCreate)                    \
  F(cuStreamDestroy)                   \
  F(cuStreamSynchronize)               \
  F(cuStreamBeginCaptureToGraph)       \
  F(cuStreamEndCapture)                \
  F(cuStreamGetCaptureInfo)            \
  F(cuStreamUpdateCaptureDependencies) \
  F(cuGraphCreate)                     \
  F(cuGraphDestroy)                    \
  F(cuGraphAddNode)                    \
  F(cuGraphConditionalHandleCreate)    \
  F(cuGraphInstantiateWithFlags)       \
  F(cuGraphExecDestroy)                \
  F(cuGraphLaunch)                     \
  F(cuModuleLoadData)                  \
  F(cuModuleUnload)                    \
  F(cuModuleGetFunction)               \
  F(cuFuncSetAttribute)                \
  F(cuLaunchKernel)                    \
  F(cuLaunchKernelEx)

namespace lt::cuda {

struct DriverTable {
#define LT_DRIVER_ENTRY(name) decltype(&::name) name = nullptr;
  LT_CUDA_DRIVER_FUNCTIONS(LT_DRIVER_ENTRY)
#undef LT_DRIVER_ENTRY
};

// Status::ok, or Status::device with "WHAT: CUDA_ERROR_..., explanation" (Status::memory where memory ran out).
Status check(const DriverTable& driver, CUresult result, const char* what);

// The own kernels of one context, by KernelId.
struct KernelTable {
  CUfunction functions[static_cast<uint32_t>(KernelId::count)] = {};
};

struct Grid {
  uint32_t x = 1, y = 1, z = 1;
};

// Puts own kernels on a stream (or into the graph that is being captured from it).
struct Launcher {
  const DriverTable* driver = nullptr;
  const KernelTable* kernels = nullptr;
  CUstream stream = nullptr;

  template <KernelId id>
  Status launch(Grid grid, uint32_t threads, const typename KernelArguments<id>::type& arguments,
                uint32_t shared_bytes = 0) const {
    return launch_any(id, grid, threads, shared_bytes, 1, &arguments);
  }
  // The same in clusters of so many blocks along x, which divide the grid. Compute capability 9.0.
  template <KernelId id>
  Status launch_clusters(uint32_t cluster, Grid grid, uint32_t threads, const typename KernelArguments<id>::type& arguments,
                         uint32_t shared_bytes) const {
    return launch_any(id, grid, threads, shared_bytes, cluster, &arguments);
  }

 private:
  Status launch_any(KernelId id, Grid grid, uint32_t threads, uint32_t shared_bytes, uint32_t cluster,
                    const void* arguments) const;
};

const char* kernel_name(KernelId id);

}  // namespace lt::cuda
