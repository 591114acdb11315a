// One recurrent layer as cuDNN sees it: its descriptors, one set for each number of samples that came, and where in the
// library's block of weights each matrix lies. Floats; all samples have all steps, for lengths would stand in a descriptor
// on the host, which a captured step cannot change. It owns the descriptors; it belongs to one kernel and its thread.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "backends/cuda/cudnn/descriptor.h"
#include "backends/cuda/kernel.h"

namespace lt::cuda {

// A descriptor of the interface before graphs: made and destroyed by these two functions of the table.
template <class T, auto create, auto destroy>
class CudnnObject {
 public:
  CudnnObject() = default;
  ~CudnnObject() {
    if (object_ != nullptr) (void)(table_->*destroy)(object_);
  }
  CudnnObject(CudnnObject&& other) noexcept : table_(other.table_), object_(std::exchange(other.object_, nullptr)) {}
  CudnnObject& operator=(CudnnObject&& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(object_, other.object_);
    return *this;
  }
  Status make(const CudnnCaller& caller, const char* function) {
    table_ = caller.table;
    return caller.checked((table_->*create)(&object_), function);
  }
  T get() const { return object_; }

 private:
  const CudnnTable* table_ = nullptr;
  T object_ = nullptr;
};
using CudnnTensorObject = CudnnObject<cudnnTensorDescriptor_t, &CudnnTable::cudnnCreateTensorDescriptor,
                                      &CudnnTable::cudnnDestroyTensorDescriptor>;
using CudnnDropoutObject = CudnnObject<cudnnDropoutDescriptor_t, &CudnnTable::cudnnCreateDropoutDescriptor,
                                       &CudnnTable::cudnnDestroyDropoutDescriptor>;
using CudnnRnnObject =
    CudnnObject<cudnnRNNDescriptor_t, &CudnnTable::cudnnCreateRNNDescriptor, &CudnnTable::cudnnDestroyRNNDescriptor>;
using CudnnRnnDataObject = CudnnObject<cudnnRNNDataDescriptor_t, &CudnnTable::cudnnCreateRNNDataDescriptor,
                                       &CudnnTable::cudnnDestroyRNNDataDescriptor>;

// A run of numbers that lies in one piece both in a parameter of the op and in the library's block.
struct CudnnWeightPiece {
  uint32_t direction;
  TensorId RecurrentWeights::*parameter;
  uint64_t first;        // in the parameter
  uint64_t block_first;  // in the block, in floats
  uint64_t elements;
};

class CudnnRecurrentLayer {
 public:
  // Asks the library for the largest run's sizes. Status::unsupported where it does not do the layer. `caller` outlives it.
  Status make(const CudnnCaller& caller, const KernelRequest& request);
  uint64_t weights_bytes() const { return weights_bytes_; }
  uint64_t workspace_bytes() const { return workspace_bytes_; }
  uint64_t reserve_bytes() const { return reserve_bytes_; }

  Status ready(uint32_t samples);
  // Of a block of weights that lies there; the library tells its own places from the block's address.
  Status find_pieces(const void* weights, const std::vector<CudnnWeightPiece>** pieces);

  // Sequences [time][sample][feature]; all but dx, dy and dweights in both passes.
  struct Memory {
    void *x = nullptr, *y = nullptr, *dx = nullptr, *dy = nullptr;
    void *weights = nullptr, *dweights = nullptr, *workspace = nullptr, *reserve = nullptr;
  };
  Status enqueue_forward(const Memory& memory, uint32_t samples, bool training, CUstream stream);
  // dx, and the gradients of the weights added to dweights.
  Status enqueue_backward(const Memory& memory, uint32_t samples, CUstream stream);

 private:
  // For one number of samples.
  struct Entry {
    uint32_t samples = 0;
    CudnnRnnDataObject x, y;
    CudnnTensorObject state;  // h or c: [direction][sample][unit]
    size_t workspace_bytes = 0, inference_workspace_bytes = 0, reserve_bytes = 0;
  };

  Status describe(cudnnRNNAlgo_t algorithm, const KernelRequest& request);
  Status add(uint32_t samples);
  Status entry(uint32_t samples, const Entry** found);
  Status add_piece(uint32_t direction, TensorId RecurrentWeights::*parameter, uint64_t first, const void* address,
                   const void* weights, uint64_t elements);

  const CudnnCaller* caller_ = nullptr;
  Op op_;
  CudnnDropoutObject dropout_;
  CudnnRnnObject rnn_;
  CudnnTensorObject matrix_, bias_;  // that the library describes its weights in
  std::vector<Entry> entries_;
  std::vector<CudnnWeightPiece> pieces_;
  uint64_t weights_bytes_ = 0, workspace_bytes_ = 0, reserve_bytes_ = 0;
};

}  // namespace lt::cuda
