// Convolutions and linear layers forward: one product with all that follows it, where that has a place in the product's own
// kernel; else what is left is an epilogue's. A kernel owns nothing but its sizes; its executor's thread calls it.
#include <cstdio>
#include <optional>

#include "backends/cuda/own/gemm.h"
#include "backends/cuda/own/own.h"
#include "src/base/checked.h"

namespace lt::cuda {
namespace {

constexpr const char* precision_names[] = {"fp32", "tf32", "bf16"};

bool is_two_by_two(const Window& pool) { return pool.kernel == 2 && pool.stride == 2 && pool.padding == 0; }

class Product final : public Kernel {
 public:
  static std::unique_ptr<Kernel> make(const KernelRequest& request) {
    auto kernel = std::make_unique<Product>(request);
    if (!ok(kernel->set_up(request))) return nullptr;
    return kernel;
  }
  explicit Product(const KernelRequest& request) : op_(*request.op), precision_(gemm_precision(request.precision)) {}

  Status enqueue(const Site& site) override {
    const bool drops = site.training && op_.dropout > 0;
    GemmResult result;
    if (pool_follows_) {
      result.c = site.scratch<std::byte>();
      result.bf16 = sums_type_ == DType::bf16 ? 1 : 0;
      if (bias_joined_) result.bias = site.at<const float>(op_.bias);
    } else {
      result.c = site.at<void>(op_.y);
      result.bf16 = site.program->tensors[op_.y].dtype == DType::bf16 ? 1 : 0;
      result.bias = site.at<const float>(op_.bias);
      result.residual = site.at<const void>(op_.residual);
      if (result.residual != nullptr)
        result.residual_bf16 = site.program->tensors[op_.residual].dtype == DType::bf16 ? 1 : 0;
      result.relu = op_.has_relu ? 1 : 0;
      if (op_.has_pool && site.training) result.argmax = site.at<uint8_t>(op_.argmax);
      if (drops && !dropout_after_) {
        result.mask = site.at<uint8_t>(op_.mask);
        result.state = site.state;
        result.dropout = site.dropout ? op_.dropout : 0;
        result.dropout_scale = site.dropout ? static_cast<float>(1 / (1 - static_cast<double>(op_.dropout))) : 1;
        result.layer = op_.layer_index;
        result.sample_offset = site.sample_offset;
      }
    }
    LT_TRY(enqueue_gemm(site.launcher, product_.call(site.samples, site.at<void>(op_.x), site.at<void>(op_.weight), result,
                                                     site.scratch<std::byte>() + sums_bytes_)));
    if (pool_follows_)
      return enqueue_epilogue(site, op_, result.c, sums_type_, op_.conv_extent.channels,
                              bias_joined_ ? nullptr : site.at<const float>(op_.bias));
    if (drops && dropout_after_)
      return enqueue_epilogue(site, *dropout_after_, result.c, site.program->tensors[op_.y].dtype, op_.y_extent.channels,
                              nullptr);
    return Status::ok;
  }
  uint64_t scratch_bytes() const override { return sums_bytes_ + product_.scratch_bytes(); }
  const char* name() const override { return name_; }

 private:
  Status set_up(const KernelRequest& request) {
    LT_TRY(check_epilogue(op_));
    LT_TRY(expect_type(request, op_.x, gemm_type(precision_)));
    LT_TRY(expect_type(request, op_.weight, gemm_type(precision_)));
    GemmConvolution convolution = gemm_convolution(op_);
    convolution.pooled = op_.has_pool && is_two_by_two(op_.pool);
    pool_follows_ = op_.has_pool && !convolution.pooled;
    // The largest of rounded numbers is the largest one rounded, but which one of equals it was may differ.
    bias_joined_ = pool_follows_ && request.program->inference;
    if (bias_joined_) sums_type_ = request.program->tensors[op_.y].dtype;
    if (pool_follows_)
      sums_bytes_ = align_up(request.micro_batch * op_.conv_extent.elements() * dtype_bytes(sums_type_), tensor_alignment);
    // A thread that writes the mask's bytes has eight channels of a pixel.
    const bool whole_bytes = convolution.z.channels % gemm_group == 0 || op_.y_extent.height * op_.y_extent.width == 1;
    if (op_.dropout > 0 && !pool_follows_ && !whole_bytes) {
      dropout_after_ = op_;
      dropout_after_->has_pool = dropout_after_->has_bias = false;
      dropout_after_->conv_extent = op_.y_extent;
    }
    LT_TRY(GemmProduct::make(GemmKind::forward, precision_, convolution, request.micro_batch, request.multiprocessors,
                             op_.layer.c_str(), &product_));
    const auto [tile_m, tile_n] = gemm_tiles[product_.plan().tile];
    std::snprintf(name_, sizeof(name_), "own %s %s %ux%u/%u", op_kind_name(op_.kind),
                  precision_names[static_cast<uint32_t>(precision_)], tile_m, tile_n, product_.plan().parts);
    return Status::ok;
  }

  Status expect_type(const KernelRequest& request, TensorId id, DType type) const {
    const Tensor& tensor = request.program->tensors[id];
    if (tensor.dtype == type) return Status::ok;
    return fail(Status::unsupported, "%s: the own kernels of %s take %s as %s", op_.layer.c_str(),
                precision_names[static_cast<uint32_t>(precision_)], tensor.name.c_str(),
                type == DType::bf16 ? "bfloat16" : "float");
  }

  const Op& op_;
  GemmPrecision precision_;
  GemmProduct product_;
  bool pool_follows_ = false;        // a pool that is not the product's, and all that comes after it
  std::optional<Op> dropout_after_;  // the op with all but its dropout taken away
  bool bias_joined_ = false;         // to the product all the same
  DType sums_type_ = DType::f32;     // in front of such a pool
  uint64_t sums_bytes_ = 0;
  char name_[48] = "";
};

}  // namespace

std::unique_ptr<Kernel> make_own_conv2d(const KernelRequest& request) { return Product::make(request); }
std::unique_ptr<Kernel> make_own_linear(const KernelRequest& request) { return Product::make(request); }

}  // namespace lt::cuda
