// cuDNN's functions, of its graph interface and of recurrent layers, as libcudnn.so exports them, in a table that is filled
// when the program runs; tests fill it with functions of their own. Compiled against the library's headers, linked with
// nothing.
#pragma once

#include <cudnn_adv.h>
#include <cudnn_graph.h>

#include "src/base/status.h"

// F(name): all that is called.
#define LT_CUDNN_FUNCTIONS(F)      \
  F(cudnnGetVersion)               \
  F(cudnnGetErrorString)           \
  F(cudnnGetLastErrorString)       \
  F(cudnnCreate)                   \
  F(cudnnDestroy)                  \
  F(cudnnSetStream)                \
  F(cudnnBackendCreateDescriptor)  \
  F(cudnnBackendDestroyDescriptor) \
  F(cudnnBackendSetAttribute)      \
  F(cudnnBackendGetAttribute)      \
  F(cudnnBackendFinalize)          \
  F(cudnnBackendExecute)           \
  F(cudnnCreateTensorDescriptor)   \
  F(cudnnDestroyTensorDescriptor)  \
  F(cudnnSetTensorNdDescriptor)    \
  F(cudnnCreateDropoutDescriptor)  \
  F(cudnnDestroyDropoutDescriptor) \
  F(cudnnSetDropoutDescriptor)     \
  F(cudnnCreateRNNDescriptor)      \
  F(cudnnDestroyRNNDescriptor)     \
  F(cudnnSetRNNDescriptor_v8)      \
  F(cudnnCreateRNNDataDescriptor)  \
  F(cudnnDestroyRNNDataDescriptor) \
  F(cudnnSetRNNDataDescriptor)     \
  F(cudnnGetRNNWeightSpaceSize)    \
  F(cudnnGetRNNWeightParams)       \
  F(cudnnGetRNNTempSpaceSizes)     \
  F(cudnnRNNForward)               \
  F(cudnnRNNBackwardData_v8)       \
  F(cudnnRNNBackwardWeights_v8)

namespace lt::cuda {

struct CudnnTable {
#define LT_CUDNN_ENTRY(name) decltype(&::name) name = nullptr;
  LT_CUDNN_FUNCTIONS(LT_CUDNN_ENTRY)
#undef LT_CUDNN_ENTRY
};

// Fills the table by lookup(library, name), as dlsym does it. False, with the name in `missing`, where a function is not
// there.
bool fill(CudnnTable* table, void* (*lookup)(void* library, const char* name), void* library, const char** missing);

// A handle for the current context; fails with Status::device and the reason where the library is of another major version
// than the header or cannot start.
Status open_cudnn(const CudnnTable& table, void** handle);
void close_cudnn(const CudnnTable& table, void* handle);

// Status::ok, or "cuDNN: WHAT: CUDNN_STATUS_..., explanation" with Status::device, with Status::memory where memory ran
// out, with Status::unsupported where the library has nothing for what was asked.
Status check(const CudnnTable& table, cudnnStatus_t result, const char* what);

}  // namespace lt::cuda
