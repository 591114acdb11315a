// Convolutions and linear layers backward: the gradient in front of dropout, ReLU and pool, dz, is made once, in scratch;
// then come its column sums (bias), its product with x (weights) and its product with the weight (dx). A kernel owns
// nothing but its sizes; its executor's thread calls it.
#include <algorithm>
#include <cstdio>

#include "backends/cuda/own/gemm.h"
#include "backends/cuda/own/own.h"
#include "src/base/checked.h"

namespace lt::cuda {
namespace {

constexpr const char* precision_names[] = {"fp32", "tf32", "bf16"};

class ProductBackward final : public Kernel {
 public:
  static std::unique_ptr<Kernel> make(const KernelRequest& request) {
    auto kernel = std::make_unique<ProductBackward>(request);
    if (!ok(kernel->set_up(request))) return nullptr;
    return kernel;
  }
  explicit ProductBackward(const KernelRequest& request)
      : op_(*request.op), precision_(gemm_precision(request.precision)) {}

  Status enqueue(const Site& site) override {
    const DType type = gemm_type(precision_);
    const uint64_t rows = uint64_t{site.samples} * convolution_.z.height * convolution_.z.width;
    const void* dz = site.at<void>(op_.dy);
    void* const partials = site.scratch<std::byte>() + dz_bytes_;
    if (makes_dz_) {
      LT_TRY(enqueue_epilogue_backward(site, op_, site.scratch<void>(), type, convolution_.z_pitch));
      dz = site.scratch<void>();
    }
    if (op_.dbias != no_tensor)
      LT_TRY(enqueue_column_sums(site, dz, type, rows, convolution_.z.channels, convolution_.z_pitch,
                                 site.at<float>(op_.dbias), partials));
    GemmResult result;
    result.c = site.at<void>(op_.dweight);
    result.accumulate = site.accumulate ? 1 : 0;
    LT_TRY(enqueue_gemm(site.launcher, weights_.call(site.samples, site.at<void>(op_.x), dz, result, partials)));
    if (op_.dx == no_tensor) return Status::ok;
    result = {};
    result.c = site.at<void>(op_.dx);
    result.bf16 = site.program->tensors[op_.dx].dtype == DType::bf16 ? 1 : 0;
    return enqueue_gemm(site.launcher, dx_.call(site.samples, dz, site.at<void>(op_.weight), result, partials));
  }
  uint64_t scratch_bytes() const override { return dz_bytes_ + partials_bytes_; }
  const char* name() const override { return name_; }

 private:
  Status set_up(const KernelRequest& request) {
    LT_TRY(check_epilogue(op_));
    const Program& program = *request.program;
    const DType type = gemm_type(precision_);
    if (program.tensors[op_.x].dtype != type || (op_.dx != no_tensor && program.tensors[op_.weight].dtype != type))
      return fail(Status::unsupported, "%s: the own kernels of %s take x and weight as %s", op_.layer.c_str(),
                  precision_names[static_cast<uint32_t>(precision_)], type == DType::bf16 ? "bfloat16" : "float");
    convolution_ = gemm_convolution(op_);
    const Extent& z = convolution_.z;
    makes_dz_ = op_.has_pool || op_.has_relu || op_.dropout > 0 || program.tensors[op_.dy].dtype != type;
    if (makes_dz_) {  // then its pixels may as well be whole chunks
      const uint32_t element_bytes = dtype_bytes(type);
      convolution_.z_pitch =
          static_cast<uint32_t>(align_up(uint64_t{z.channels}, uint64_t{gemm_chunk_bytes / element_bytes}));
      dz_bytes_ = align_up(request.micro_batch * uint64_t{z.height} * z.width * convolution_.z_pitch * element_bytes,
                           tensor_alignment);
    }
    LT_TRY(GemmProduct::make(GemmKind::weights, precision_, convolution_, request.micro_batch, request.multiprocessors,
                             op_.layer.c_str(), &weights_));
    partials_bytes_ = weights_.scratch_bytes();
    if (op_.dx != no_tensor) {
      LT_TRY(GemmProduct::make(GemmKind::dx, precision_, convolution_, request.micro_batch, request.multiprocessors,
                               op_.layer.c_str(), &dx_));
      partials_bytes_ = std::max(partials_bytes_, dx_.scratch_bytes());
    }
    if (op_.dbias != no_tensor)
      partials_bytes_ = std::max(partials_bytes_,
                                 column_sums_scratch_bytes(request.micro_batch * uint64_t{z.height} * z.width, z.channels));
    const auto [tile_m, tile_n] = gemm_tiles[weights_.plan().tile];
    std::snprintf(name_, sizeof(name_), "own %s %s %ux%u/%u", op_kind_name(op_.kind),
                  precision_names[static_cast<uint32_t>(precision_)], tile_m, tile_n, weights_.plan().parts);
    return Status::ok;
  }

  const Op& op_;
  GemmPrecision precision_;
  GemmConvolution convolution_;
  GemmProduct weights_, dx_;
  bool makes_dz_ = false;
  uint64_t dz_bytes_ = 0, partials_bytes_ = 0;
  char name_[48] = "";
};

}  // namespace

std::unique_ptr<Kernel> make_own_conv2d_backward(const KernelRequest& request) { return ProductBackward::make(request); }
std::unique_ptr<Kernel> make_own_linear_backward(const KernelRequest& request) { return ProductBackward::make(request); }

}  // namespace lt::cuda
