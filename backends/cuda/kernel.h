// One prepared operation of the CUDA backend. A kernel is made in set-up, by a family (own, cudnn, cublaslt) that may then
// allocate and ask its library, and is put on a stream without allocating. It belongs to one device or executor, whose
// thread calls it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "backends/cuda/driver.h"
#include "backends/cuda/kernels/step_state.h"
#include "src/backend.h"
#include "src/op.h"

namespace lt::cuda {

struct CudnnTable;
struct CublasLtTable;

// A data set in the device's memory.
struct KeptSet {
  const void* x = nullptr;          // [count][sample bytes]
  const int32_t* labels = nullptr;  // [count][label_count]
  uint32_t label_count = 1;
  const uint32_t* lengths = nullptr;  // [count]; null: all samples have all steps
  uint32_t count = 0;
};

// Where an operation is put and what it is told. Values that change from step to step are in `state`, on the device: the
// rest is fixed when a graph is captured.
struct Site {
  Launcher launcher;  // with the stream
  const Program* program = nullptr;
  std::byte* region = nullptr;                                 // device address
  const StepState* state = nullptr;                            // device address
  uint32_t samples = 0, sample_offset = 0, batch_samples = 0;  // as in RunArguments
  bool training = false, accumulate = false, dropout = true;
  bool has_labels = true;         // false: prediction, no loss
  bool has_lengths = false;       // of the samples, in the staging tensors: false, all have all steps
  const KeptSet* kept = nullptr;  // null: samples and labels stand in the staging tensors

  // The tensor's first element (a device address), or null for no_tensor.
  template <class T>
  T* at(TensorId id) const {
    return id == no_tensor ? nullptr : reinterpret_cast<T*>(region + program->tensors[id].offset);
  }
  template <class T>
  T* scratch() const {
    return reinterpret_cast<T*>(region + program->scratch_offset);
  }
  CUstream stream() const { return launcher.stream; }
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Readies runs of `samples` samples, at most the micro-batch: asks its library and loads what that takes. Called before
  // such runs are captured, in which a library may do neither; without a capture `enqueue` sees to it.
  virtual Status ready(uint32_t samples) {
    (void)samples;
    return Status::ok;
  }
  // Makes what it wants of the weights (Op::saved), on the site's stream: in inference programs, behind every upload of
  // parameters and in front of the next run.
  virtual Status take_weights(const Site& site) {
    (void)site;
    return Status::ok;
  }
  // Puts the operation on the site's stream. May be called while that stream is captured: no synchronisation, no
  // allocation on the device.
  virtual Status enqueue(const Site& site) = 0;
  virtual uint64_t scratch_bytes() const { return 0; }
  virtual uint64_t saved_bytes() const { return 0; }
  virtual const char* name() const = 0;  // "own conv2d", "cudnn conv2d": static or owned by the kernel
};

// The libraries of a device with their handles; null where a library is not there (or not wanted).
struct LibraryHandles {
  const CudnnTable* cudnn = nullptr;
  void* cudnn_handle = nullptr;  // cudnnHandle_t
  const CublasLtTable* cublaslt = nullptr;
  void* cublaslt_handle = nullptr;  // cublasLtHandle_t
};

// What a family is told when it makes a kernel.
struct KernelRequest {
  const Program* program;
  const Op* op;
  uint32_t micro_batch;
  Precision precision;  // never int8: that is an op's own (Op::scales)
  bool deterministic;
  uint32_t multiprocessors;  // of the device
  int compute_capability;    // 80, 90 ...
  LibraryHandles libraries;
};

// A library's kernel: null, and the reason in last_error, where `check` refuses or Made::make, which asks the library,
// does.
template <class Made>
std::unique_ptr<Kernel> make_served(const KernelRequest& request, Status (*check)(const KernelRequest&)) {
  if (!ok(check(request))) return nullptr;
  auto kernel = std::make_unique<Made>(request);
  return ok(kernel->make(request)) ? std::move(kernel) : nullptr;
}

}  // namespace lt::cuda
