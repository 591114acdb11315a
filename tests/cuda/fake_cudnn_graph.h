// A graph of the fake cuDNN's operations as plain data, and its computation. See fake_cudnn.h.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/cuda/fake_numbers.h"

namespace lt::cuda::fake {

struct CudnnTensor {
  int64_t id = 0;
  Number number = Number::f32;
  std::array<int64_t, 4> dims = {}, strides = {};
  int64_t alignment = 0;
  bool is_virtual = false;

  // From the first element to behind the last.
  uint64_t bytes() const;
  uint64_t at(int64_t a, int64_t b, int64_t c, int64_t d) const {
    return static_cast<uint64_t>(a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3]);
  }
};

struct CudnnOperation {
  enum Kind : uint8_t { forward, data_gradient, weight_gradient, add, relu } kind = forward;
  CudnnTensor x, weight, y, bias;  // weight for convolutions, bias for add
  int64_t stride = 1, padding = 0;
  bool keeps_nan = false;

  // What it writes.
  const CudnnTensor& result() const { return kind == data_gradient ? x : kind == weight_gradient ? weight : y; }
  std::vector<const CudnnTensor*> sources() const;
};

struct CudnnEngine {
  const char* name = "";
  std::vector<int> notes;  // cudnnBackendNumericalNote_t
  int64_t workspace_bytes = 0;
  bool rounds_to_tf32 = false;
  bool loses_digits = false;  // gives results that are off by a thousandth
  bool builds = true;         // false: its plan cannot be finalised
};

struct CudnnGraph {
  std::vector<CudnnOperation> operations;

  // Every tensor once; a sentence in `wrong` where two of them have one id, or where operations do not hang together.
  std::vector<CudnnTensor> tensors(std::string* wrong) const;
};

// A sentence about shapes or types that do not fit, or an empty one.
std::string check_operation(const CudnnOperation& operation);

// Does all operations, in order, with sums in double. `memory` by the tensors' ids.
void compute(const CudnnGraph& graph, const CudnnEngine& engine, const std::map<int64_t, void*>& memory);

}  // namespace lt::cuda::fake
