// One pass of a convolution as a graph of cuDNN's operations, and the plan of the engine that does it. A plan is for one
// number of samples. It owns the library's descriptors; it belongs to one kernel and its thread.
#pragma once

#include <cuda.h>

#include <array>
#include <cstdint>
#include <vector>

#include "backends/cuda/cudnn/descriptor.h"
#include "src/backend.h"
#include "src/op.h"

namespace lt::cuda {

enum class CudnnPass : uint8_t {
  forward,          // z = x * weight (+ residual) (+ bias) (relu)
  data_gradient,    // x' = z' * weight, turned
  weight_gradient,  // weight' = x * z'
};

// Channels as they lie in memory, padding included: activations by sample, row, column, channel without gaps, the filter by
// output, row, column, input.
struct CudnnConvolution {
  CudnnPass pass = CudnnPass::forward;
  Extent x, z;
  Window window;
  DType type = DType::f32;    // of what is multiplied
  DType result = DType::f32;  // of what comes out
  // Forward, in the same graph. The residual is of z's shape and `type`, and not z itself; the bias is float.
  bool has_residual = false, has_bias = false, has_relu = false;
  bool fuses() const { return has_residual || has_bias || has_relu; }
};

// What an engine may do.
struct CudnnRules {
  Precision precision = Precision::fp32;
  bool deterministic = false;
  uint64_t workspace_limit_bytes = 0;
};

class CudnnPlan {
 public:
  // Takes the first engine that the library proposes and the rules allow. Status::unsupported where there is none. `caller`
  // outlives the plan.
  Status make(const CudnnCaller& caller, const CudnnConvolution& convolution, uint32_t samples, const CudnnRules& rules);
  uint64_t workspace_bytes() const { return workspace_bytes_; }

  // The result is z, x' or weight' of the pass. Allocates nothing on the device; other addresses than the last call's make
  // the library allocate a few bytes on the host.
  struct Memory {
    void *x = nullptr, *weight = nullptr, *z = nullptr, *residual = nullptr, *bias = nullptr, *workspace = nullptr;
    bool operator==(const Memory&) const = default;
  };
  Status enqueue(const Memory& memory, CUstream stream);

 private:
  Status make_tensor(CudnnDescriptor* tensor, int64_t id, DType type, const std::array<int64_t, 4>& dims, bool is_virtual);
  Status make_graph(const CudnnConvolution& convolution, uint32_t samples);
  Status make_convolution(const CudnnConvolution& convolution, const CudnnDescriptor& x, const CudnnDescriptor& weight,
                          const CudnnDescriptor& z);
  Status make_pointwise(cudnnPointwiseMode_t mode, const CudnnDescriptor& x, const CudnnDescriptor* summand,
                        const CudnnDescriptor& y);
  Status take_engine(cudnnBackendHeurMode_t mode, const CudnnRules& rules, bool* taken);
  Status is_allowed(const CudnnDescriptor& configuration, const CudnnRules& rules, bool* allowed);
  Status bind(const Memory& memory);

  const CudnnCaller* caller_ = nullptr;
  bool has_residual_ = false, has_bias_ = false;
  // Kept, as one descriptor refers to the other: tensors, convolution, operations.
  std::vector<CudnnDescriptor> parts_;
  std::vector<cudnnBackendDescriptor_t> operations_;
  CudnnDescriptor graph_, configuration_, plan_, pack_;
  Memory bound_;  // what pack_ holds
  uint64_t workspace_bytes_ = 0;
};

}  // namespace lt::cuda
