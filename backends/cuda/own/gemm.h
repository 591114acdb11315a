// The products of convolutions and linear layers on the own kernels of gemm.h (backends/cuda/kernels): what each of them is
// as a matrix product, which tile it gets and in how many parts it is cut, and its launches. Set up once for the largest
// micro-batch; nothing here owns memory of the device. Any thread may read a product.
#pragma once

#include <cstdint>

#include "backends/cuda/kernel.h"
#include "backends/cuda/kernels/gemm.h"
#include "src/op.h"

namespace lt::cuda {

// How a product is cut: an index into gemm_tiles, and the parts of k.
struct GemmPlan {
  uint32_t tile = 0, parts = 1;
};

// The tile and the parts that should take the least time on a device of so many multiprocessors, the same ones every time.
GemmPlan plan_gemm(GemmPrecision precision, uint64_t m, uint64_t n, uint64_t k, uint32_t multiprocessors);

constexpr DType gemm_type(GemmPrecision precision) {
  return precision == GemmPrecision::int8 ? DType::u8 : precision == GemmPrecision::bf16 ? DType::bf16 : DType::f32;
}
GemmPrecision gemm_precision(Precision precision);  // but int8, whose operations are told apart by Op::scales

// A convolution's shape; a linear layer is a 1x1 convolution of images of one pixel.
struct GemmConvolution {
  Extent x, z;
  Window window;
  bool pooled = false;   // forward: joined with a 2x2 max-pool of stride 2
  uint32_t z_pitch = 0;  // dx, weights: elements from a pixel of dz to the next
  // forward, without padding: a row of the kernel is copied as one tap of whole chunks, past its last pixel too, which may
  // not be past what can be read. The weight's rows are as long, and zero there.
  bool whole_rows = false;
};
GemmConvolution gemm_convolution(const Op& op);

// One launch of a product, and that of the sum over its parts where it has several.
struct GemmCall {
  KernelId kernel;
  Grid grid;
  GemmArguments arguments;
  uint32_t reduce_blocks = 0;  // 0: one part
  GemmReduceArguments reduce;
};

class GemmProduct {
 public:
  // Fails with Status::unsupported where an index would not fit. `what` begins the sentence.
  static Status make(GemmKind kind, GemmPrecision precision, const GemmConvolution& convolution, uint32_t micro_batch,
                     uint32_t multiprocessors, const char* what, GemmProduct* product);

  // Partial sums of any number of samples up to the micro-batch.
  uint64_t scratch_bytes() const;
  const GemmPlan& plan() const { return plan_; }
  // Another plan than the estimated one: for tests.
  void set_plan(GemmPlan plan) { plan_ = plan; }

  // `image` and `matrix` as in gemm.h's table: x and weight, dz and weight, or x and dz. The result's shape is filled in
  // here; `partials` is scratch.
  GemmCall call(uint32_t samples, const void* image, const void* matrix, GemmResult result, void* partials) const;

 private:
  struct Shape {
    uint64_t m, n, k;
  };
  Shape shape(uint32_t samples) const;

  GemmKind kind_{};
  GemmPrecision precision_{};
  GemmConvolution convolution_;
  GemmPlan plan_;
  GemmImage image_;    // without its data
  GemmMatrix matrix_;  // without its data and, for weights, its rows
  uint32_t micro_batch_ = 0;
};

// Puts the launches on the launcher's stream.
Status enqueue_gemm(const Launcher& launcher, const GemmCall& call);

}  // namespace lt::cuda
