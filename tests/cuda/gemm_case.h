// A convolution (or linear layer) with its tensors on the host, for tests of the products' kernels: what they should give,
// by double loops over operands that are rounded as the precision rounds them, and what they do give in the emulation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/cuda/own/gemm.h"

namespace lt::cuda::test {

// A device's memory: exact in size, so that the address sanitizer guards its ends, and aligned like a tensor.
class Memory {
 public:
  explicit Memory(uint64_t bytes);
  uint8_t* data() { return data_.get(); }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(uint8_t* p) const;
  };
  uint64_t bytes_;
  std::unique_ptr<uint8_t, Free> data_;
};

float round_to(GemmPrecision precision, float value);
uint16_t bf16_bits(float value);
float bf16_value(uint16_t bits);

struct GemmCase {
  std::string name;
  Extent x, z;
  Window window;
  uint32_t samples = 2;
  GemmPrecision precision = GemmPrecision::f32;
  GemmPlan plan;
  bool whole_numbers = true;  // all sums are exact then
  uint32_t z_pitch = 0;       // 0: channels
  bool accumulate = false;    // weights
  // forward
  bool pooled = false, bias = false, relu = false, f32_result = false, argmax = true;
  float dropout = -1;  // below 0: none; 0: a mask of what ReLU passes
  uint32_t sample_offset = 0;
  uint32_t multiprocessors = 132;
  uint64_t seed = 7;
};

// x of [samples][x], weight [out][tap][in], dz of [samples][z], in double but rounded as the precision has them.
struct GemmTensors {
  explicit GemmTensors(const GemmCase& c);
  std::vector<double> x, weight, dz, bias;
};

// Sums, and sums of magnitudes: a rounding error is a share of the latter.
struct Expected {
  std::vector<double> sums, magnitudes;
};
Expected forward_of(const GemmCase& c, const GemmTensors& t);  // [samples][z]
Expected dx_of(const GemmCase& c, const GemmTensors& t);       // [samples][x]
Expected weights_of(const GemmCase& c, const GemmTensors& t);  // [out][tap][in]

// What the kernels leave, in `values` as floats. Errors of a launch are in `error`.
struct Outcome {
  std::vector<float> values;
  std::vector<uint8_t> argmax, mask;
  std::string error;
};
Outcome run_product(GemmKind kind, const GemmCase& c, const GemmTensors& t, const std::vector<float>& before = {});

}  // namespace lt::cuda::test
