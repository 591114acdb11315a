// A GPU made ready: the driver's primary context, the own kernels loaded into it, and the libraries' handles. Lives as long
// as the device that opened it; executors use it. Any thread may use it after `enter`, one at a time where a library's
// handle is concerned.
#pragma once

#include <cuda.h>

#include <algorithm>

#include "backends/cuda/kernel.h"
#include "backends/cuda/libraries.h"
#include "backends/cuda/modules.h"
#include "src/base/status.h"

namespace lt::cuda {

// The oldest driver that has all that is called: the kernels' binaries ask for the major version they were built with, and
// graphs with loops for 12.4.
inline constexpr int driver_version_needed = std::max(CUDA_VERSION / 1000 * 1000, 12040);
inline constexpr int compute_capability_needed = 80;

class Context {
 public:
  Context() = default;
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Fails with Status::device and the reason. `with_cudnn`, `with_cublaslt`: libraries that the choice of kernels needs.
  Status open(const LibrarySource& libraries, uint32_t index, bool with_cudnn, bool with_cublaslt);
  // Makes the context the calling thread's.
  Status enter() const { return check(*driver_, driver_->cuCtxSetCurrent(context_), "cuCtxSetCurrent"); }

  // The same for what gives things back: it must not hide the failure that is being reported, and goes on in any case.
  void enter_quietly() const { (void)driver_->cuCtxSetCurrent(context_); }

  const DriverTable& driver() const { return *driver_; }
  CUcontext handle() const { return context_; }
  const KernelTable& kernels() const { return modules_.kernels(); }
  const LibraryHandles& libraries() const { return libraries_; }
  const char* name() const { return name_; }
  int driver_version() const { return driver_version_; }
  int compute_capability() const { return compute_capability_; }
  uint32_t multiprocessors() const { return multiprocessors_; }
  uint64_t memory_total_bytes() const { return memory_total_bytes_; }

 private:
  const DriverTable* driver_ = nullptr;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  Modules modules_;
  LibraryHandles libraries_;
  char name_[128] = "";
  int driver_version_ = 0, compute_capability_ = 0;
  uint32_t multiprocessors_ = 0;
  uint64_t memory_total_bytes_ = 0;
};

// The driver, started; null and the reason where it cannot be used: there is none, it is too old, or it sees no GPU.
Status start_driver(const LibrarySource& libraries, const DriverTable** driver, int* version, int* devices);

}  // namespace lt::cuda
