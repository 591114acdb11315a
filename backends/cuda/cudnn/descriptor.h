// A descriptor of cuDNN's graph interface: made, given its attributes, finalised, and destroyed with its owner. A failure's
// sentence names the layer and the function. It belongs to one kernel and its thread.
#pragma once

#include <cstdint>

#include "backends/cuda/cudnn/table.h"

namespace lt::cuda {

// The library and whose descriptors these are, such as "conv2d conv1".
struct CudnnCaller {
  const CudnnTable* table;
  cudnnHandle_t handle;
  const char* what;

  Status checked(cudnnStatus_t result, const char* function) const;
};

class CudnnDescriptor {
 public:
  CudnnDescriptor() = default;
  ~CudnnDescriptor() { reset(); }
  CudnnDescriptor(CudnnDescriptor&& other) noexcept : caller_(other.caller_), descriptor_(other.descriptor_) {
    other.descriptor_ = nullptr;
  }
  CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept;

  Status create(const CudnnCaller& caller, cudnnBackendDescriptorType_t type);
  Status set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values);
  Status set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value);
  // As many of the values as there are, at most `count`; their number in *found, which is the number that there would be
  // where count is 0.
  Status get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, void* values,
             int64_t* found) const;
  Status finalize();
  cudnnBackendDescriptor_t get() const { return descriptor_; }
  void reset();

 private:
  const CudnnCaller* caller_ = nullptr;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

}  // namespace lt::cuda
