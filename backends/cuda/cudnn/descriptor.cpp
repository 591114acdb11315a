// See descriptor.h.
#include "backends/cuda/cudnn/descriptor.h"

#include <cstdio>

namespace lt::cuda {

Status CudnnCaller::checked(cudnnStatus_t result, const char* function) const {
  if (result == CUDNN_STATUS_SUCCESS) return Status::ok;
  char text[160];
  std::snprintf(text, sizeof text, "%s: %s", what, function);
  return check(*table, result, text);
}

CudnnDescriptor& CudnnDescriptor::operator=(CudnnDescriptor&& other) noexcept {
  if (this == &other) return *this;
  reset();
  caller_ = other.caller_;
  descriptor_ = other.descriptor_;
  other.descriptor_ = nullptr;
  return *this;
}

void CudnnDescriptor::reset() {
  if (descriptor_ != nullptr) (void)caller_->table->cudnnBackendDestroyDescriptor(descriptor_);
  descriptor_ = nullptr;
}

Status CudnnDescriptor::create(const CudnnCaller& caller, cudnnBackendDescriptorType_t type) {
  reset();
  caller_ = &caller;
  return caller.checked(caller.table->cudnnBackendCreateDescriptor(type, &descriptor_), "cudnnBackendCreateDescriptor");
}

Status CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                            const void* values) {
  return caller_->checked(caller_->table->cudnnBackendSetAttribute(descriptor_, name, type, count, values),
                          "cudnnBackendSetAttribute");
}

Status CudnnDescriptor::set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor_);
}

Status CudnnDescriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, void* values,
                            int64_t* found) const {
  return caller_->checked(caller_->table->cudnnBackendGetAttribute(descriptor_, name, type, count, found, values),
                          "cudnnBackendGetAttribute");
}

Status CudnnDescriptor::finalize() {
  return caller_->checked(caller_->table->cudnnBackendFinalize(descriptor_), "cudnnBackendFinalize");
}

}  // namespace lt::cuda
