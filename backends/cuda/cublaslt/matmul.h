// One matrix product of cuBLASLt, D = op(A) op(B), or added to D, whose algorithm was asked for in set-up. Matrices lie as
// the library has them: by columns, without gaps. It owns the library's descriptors; it belongs to one kernel and its
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "backends/cuda/cublaslt/table.h"
#include "backends/cuda/kernel.h"

namespace lt::cuda {

// [columns][rows] in memory; as many columns as there are samples where per_sample.
struct LtMatrix {
  DType type = DType::f32;
  uint64_t rows = 0, columns = 0;
  bool per_sample = false;
};

enum class LtEpilogue : uint8_t {
  none,
  bias,           // a float for each row of D is added to it
  bias_gradient,  // the sums over k of op(B)'s columns are written, a float for each column of D
};

struct LtProduct {
  LtMatrix a, b, d;
  bool transpose_a = false, transpose_b = false;
  LtEpilogue epilogue = LtEpilogue::none;
  const char* what = "";  // "linear fc1 forward", of the caller
};

class LtMatmul {
 public:
  // Asks for the algorithm for micro_batch samples. Status::unsupported where the library has none for the types, the
  // epilogue and the precision.
  static Status make(const KernelRequest& request, const LtProduct& product, std::unique_ptr<LtMatmul>* matmul);
  ~LtMatmul();
  LtMatmul(const LtMatmul&) = delete;
  LtMatmul& operator=(const LtMatmul&) = delete;

  // Of the workspace, for any number of samples.
  uint64_t workspace_bytes() const { return workspace_bytes_; }

  // Asks the library for its algorithm for so many samples, on the host, unless they are among the last few.
  Status ready(uint32_t samples);
  // Allocates nothing, and readies what is not ready.
  // `vector` is the epilogue's. Adds to D where `accumulate`, which an epilogue forbids.
  Status enqueue(uint32_t samples, const void* a, const void* b, void* d, void* vector, bool accumulate, void* workspace,
                 CUstream stream);

 private:
  struct Algorithm {
    uint32_t samples = 0;
    cublasLtMatmulAlgo_t algo = {};
    uint64_t workspace_bytes = 0;
  };

  LtMatmul(const KernelRequest& request, const LtProduct& product);
  Status create(Precision precision);
  Status create_layout(const LtMatrix& matrix, uint32_t samples, cublasLtMatrixLayout_t* layout);
  Status set_vector(const void* vector);
  Status set_samples(uint32_t samples);
  Status ask(uint32_t samples, uint64_t workspace_limit_bytes, Algorithm* algorithm);
  Status find(uint32_t samples, const Algorithm** algorithm);
  Status checked(cublasStatus_t result, const char* function) const;

  const CublasLtTable& table_;
  const cublasLtHandle_t handle_;
  const LtProduct product_;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, d_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
  uint64_t workspace_bytes_ = 0;
  uint32_t samples_ = 0;  // that the layouts have
  // [0] is for micro_batch; the others are found as they come, the oldest making room.
  std::array<Algorithm, 8> algorithms_;
  uint32_t next_ = 1;
};

}  // namespace lt::cuda
