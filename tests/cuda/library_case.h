// A convolution or a linear layer, forward and backward, made by one of the library families against the fakes and compared
// with the reference device's functions. Tensors and scratch lie between guard zones in memory that the fakes take for the
// device's; what a run is to write, and guards, start as NaN.
//
//     LibraryRun run(c);
//     ASSERT_TRUE(run.make(make_cublaslt_linear, make_cublaslt_linear_backward)) << last_error();
//     run.expect_equals_reference();
//
// The numbers in x, weight and dy are odd multiples of 1/256 below 1: exact in bfloat16 and TF32, so that precisions differ
// in the rounding of results alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/cuda/kernel.h"

namespace lt::cuda {

struct LibraryCase {
  std::string name;
  bool is_conv = false;
  Extent x;
  uint32_t out = 1;
  Window conv, pool = {0, 0, 0};
  bool has_bias = true, has_relu = false;
  bool has_residual = false;  // a convolution's, apart from y
  float dropout = 0;
  Precision precision = Precision::fp32;
  bool logits = false;  // y and dy float even with bf16
  bool deterministic = false, accumulate = false, needs_dx = true, training = true;
  uint32_t micro_batch = 3, samples = 3;
  // The float gradients pass through bfloat16 on their way, as sums of a pool's or as the library's result.
  bool rounds_gradients = false;
};
inline std::ostream& operator<<(std::ostream& stream, const LibraryCase& c) { return stream << c.name; }

using Maker = std::unique_ptr<Kernel> (*)(const KernelRequest& request);

class LibraryRun {
 public:
  explicit LibraryRun(const LibraryCase& library_case);
  ~LibraryRun();
  LibraryRun(const LibraryRun&) = delete;
  LibraryRun& operator=(const LibraryRun&) = delete;

  // Opens the fakes' handles; false where one of the kernels is not made.
  bool make(Maker make_forward, Maker make_backward);
  // Lays the tensors out, which needs the kernels' scratch, and fills them.
  void fill();
  Status enqueue_forward();
  Status enqueue_backward();
  // fill, both passes, and every output against the reference; no complaint of a fake.
  void expect_equals_reference();
  void set_samples(uint32_t samples) { case_.samples = samples; }

  Program& program() { return program_; }
  Op& forward_op() { return program_.ops[0]; }
  Kernel* forward() { return forward_.get(); }
  Kernel* backward() { return backward_.get(); }
  KernelRequest request(uint32_t op) const;
  Site site() const;
  float value(TensorId id, uint64_t i) const;
  void set_value(TensorId id, uint64_t i, float value);

 private:
  TensorId add(const char* name, DType type, uint64_t sample_elements, uint64_t elements);
  uint64_t elements(TensorId id, uint32_t samples) const;
  void fill_tensor(TensorId id, uint32_t seed);
  void reference(bool backward);
  void compare(TensorId id, const char* what) const;
  void check_guards() const;

  LibraryCase case_;
  Program program_, reference_program_;
  std::vector<std::byte> region_storage_, reference_region_;
  std::byte* region_ = nullptr;
  uint64_t region_bytes_ = 0;
  std::vector<const std::byte*> ranges_;
  LibraryHandles libraries_;
  std::unique_ptr<StepState> state_;
  // After the handles, so that kernels go first.
  std::unique_ptr<Kernel> forward_, backward_;
};

}  // namespace lt::cuda
