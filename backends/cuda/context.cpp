#include "backends/cuda/context.h"

#include <cstdio>

#include "backends/cuda/cublaslt/table.h"
#include "backends/cuda/cudnn/table.h"

namespace lt::cuda {

Status start_driver(const LibrarySource& libraries, const DriverTable** driver, int* version, int* devices) {
  LT_TRY(libraries.driver(driver));
  const DriverTable& d = **driver;
  *version = *devices = 0;
  // Asked first: it works without a GPU, and a driver that is too old may fail in cuInit for that.
  LT_TRY(check(d, d.cuDriverGetVersion(version), "cuDriverGetVersion"));
  if (*version < driver_version_needed)
    return fail(Status::device, "NVIDIA's driver is too old: it supports CUDA %d.%d, this build needs %d.%d",
                *version / 1000, *version % 1000 / 10, driver_version_needed / 1000, driver_version_needed % 1000 / 10);
  const CUresult started = d.cuInit(0);
  if (started == CUDA_ERROR_NO_DEVICE) return fail(Status::device, "NVIDIA's driver finds no GPU");
  LT_TRY(check(d, started, "cuInit"));
  LT_TRY(check(d, d.cuDeviceGetCount(devices), "cuDeviceGetCount"));
  if (*devices == 0) return fail(Status::device, "NVIDIA's driver finds no GPU");
  return Status::ok;
}

Status Context::open(const LibrarySource& libraries, uint32_t index, bool with_cudnn, bool with_cublaslt) {
  int devices = 0;
  LT_TRY(start_driver(libraries, &driver_, &driver_version_, &devices));
  if (index >= static_cast<uint32_t>(devices))
    return fail(Status::device, "device cuda:%u: the driver finds %d GPU%s, cuda:0%s", index, devices,
                devices == 1 ? "" : "s", devices == 1 ? "" : " and on");
  const DriverTable& d = *driver_;
  LT_TRY(check(d, d.cuDeviceGet(&device_, static_cast<int>(index)), "cuDeviceGet"));
  LT_TRY(check(d, d.cuDeviceGetName(name_, sizeof name_, device_), "cuDeviceGetName"));
  int major = 0, minor = 0, multiprocessors = 0;
  LT_TRY(check(d, d.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device_),
               "cuDeviceGetAttribute"));
  LT_TRY(check(d, d.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device_),
               "cuDeviceGetAttribute"));
  LT_TRY(check(d, d.cuDeviceGetAttribute(&multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device_),
               "cuDeviceGetAttribute"));
  compute_capability_ = 10 * major + minor;
  multiprocessors_ = static_cast<uint32_t>(multiprocessors);
  if (compute_capability_ < compute_capability_needed)
    return fail(Status::device, "%s has compute capability %d.%d; this build has kernels for %s", name_, major, minor,
                module_architectures);
  size_t total_bytes = 0;
  LT_TRY(check(d, d.cuDeviceTotalMem(&total_bytes, device_), "cuDeviceTotalMem"));
  memory_total_bytes_ = total_bytes;

  const CUresult retained = d.cuDevicePrimaryCtxRetain(&context_, device_);
  if (retained != CUDA_SUCCESS) context_ = nullptr;
  if (retained == CUDA_ERROR_DEVICE_UNAVAILABLE)
    return fail(Status::device, "%s is held by another process in exclusive mode, or its compute mode forbids use", name_);
  LT_TRY(check(d, retained, "cuDevicePrimaryCtxRetain"));
  LT_TRY(enter());
  LT_TRY(modules_.load(d));
  if (with_cublaslt) {
    LT_TRY(libraries.cublaslt(&libraries_.cublaslt));
    LT_TRY(open_cublaslt(*libraries_.cublaslt, &libraries_.cublaslt_handle));
  }
  if (with_cudnn) {
    LT_TRY(libraries.cudnn(&libraries_.cudnn));
    LT_TRY(open_cudnn(*libraries_.cudnn, &libraries_.cudnn_handle));
  }
  return Status::ok;
}

Context::~Context() {
  if (context_ == nullptr) return;
  enter_quietly();
  if (libraries_.cudnn_handle != nullptr) close_cudnn(*libraries_.cudnn, libraries_.cudnn_handle);
  if (libraries_.cublaslt_handle != nullptr) close_cublaslt(*libraries_.cublaslt, libraries_.cublaslt_handle);
  modules_.unload(*driver_);
  (void)driver_->cuDevicePrimaryCtxRelease(device_);
}

}  // namespace lt::cuda
