#include "backends/cuda/memory.h"

namespace lt::cuda {

Status DeviceMemory::reserve(const Context& context, uint64_t bytes, const char* what) {
  free();
  const DriverTable& driver = context.driver();
  const CUresult result = driver.cuMemAlloc(&address_, bytes);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    size_t free_bytes = 0, total_bytes = 0;
    if (driver.cuMemGetInfo(&free_bytes, &total_bytes) != CUDA_SUCCESS) free_bytes = total_bytes = 0;
    return fail(Status::memory, "the GPU refused %llu bytes for %s: %zu of its %zu bytes are free, others hold the rest",
                static_cast<unsigned long long>(bytes), what, free_bytes, total_bytes);
  }
  LT_TRY(check(driver, result, "cuMemAlloc"));
  context_ = &context;
  size_ = bytes;
  return Status::ok;
}

void DeviceMemory::free() {
  if (context_ == nullptr) return;
  context_->enter_quietly();
  (void)context_->driver().cuMemFree(address_);
  context_ = nullptr;
  address_ = 0;
  size_ = 0;
}

Status PinnedMemory::reserve(const Context& context, uint64_t bytes) {
  const DriverTable& driver = context.driver();
  void* host = nullptr;
  const CUresult result = driver.cuMemHostAlloc(&host, bytes, CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_PORTABLE);
  if (result == CUDA_ERROR_OUT_OF_MEMORY)
    return fail(Status::memory, "the system refused %llu bytes of pinned memory", static_cast<unsigned long long>(bytes));
  LT_TRY(check(driver, result, "cuMemHostAlloc"));
  context_ = &context;
  host_ = static_cast<std::byte*>(host);
  size_ = bytes;
  CUdeviceptr device = 0;
  LT_TRY(check(driver, driver.cuMemHostGetDevicePointer(&device, host, 0), "cuMemHostGetDevicePointer"));
  device_ = reinterpret_cast<std::byte*>(device);
  return Status::ok;
}

PinnedMemory::~PinnedMemory() {
  if (context_ == nullptr) return;
  context_->enter_quietly();
  (void)context_->driver().cuMemFreeHost(host_);
}

}  // namespace lt::cuda
