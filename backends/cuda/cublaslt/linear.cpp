// Linear layers as products of cuBLASLt, with the bias in the product's epilogue where the library has that. ReLU is not:
// the library does not promise to let a NaN through, which the loss is to see. See kernel.h for memory and threads.
//
// In memory x is [sample][in], weight [out][in], y [sample][out]. Read by columns, as the library does, these are in x
// samples, in x out and out x samples:
//   y  = weight' x        dweight = x dz'        dx = weight dz
#include "backends/cuda/cublaslt/linear.h"

#include <algorithm>
#include <string>

#include "backends/cuda/cublaslt/matmul.h"
#include "backends/cuda/own/own.h"
#include "backends/cuda/scratch.h"

namespace lt::cuda {
namespace {

// What both directions know. The types are those of the tensors.
class LtLinearKernel : public Kernel {
 public:
  explicit LtLinearKernel(const KernelRequest& request)
      : op_(*request.op), in_(op_.x_extent.elements()), out_(static_cast<uint32_t>(op_.y_extent.elements())) {}
  uint64_t scratch_bytes() const override { return layout_.bytes(); }

 protected:
  static DType type_of(const KernelRequest& request, TensorId id) { return request.program->tensors[id].dtype; }

  const Op op_;
  const uint64_t in_;
  const uint32_t out_;
  ScratchLayout layout_;
};

// Makes the product with `epilogue` or, where the library has no such one, without; *fused tells which.
Status make_either(const KernelRequest& request, LtProduct product, LtEpilogue epilogue, std::unique_ptr<LtMatmul>* matmul,
                   bool* fused) {
  *fused = epilogue != LtEpilogue::none;
  if (*fused) {
    product.epilogue = epilogue;
    const Status status = LtMatmul::make(request, product, matmul);
    if (status != Status::unsupported) return status;
    *fused = false;
    product.epilogue = LtEpilogue::none;
  }
  return LtMatmul::make(request, product, matmul);
}

class LtLinear final : public LtLinearKernel {
 public:
  explicit LtLinear(const KernelRequest& request)
      : LtLinearKernel(request), what_("linear " + op_.layer), y_type_(type_of(request, op_.y)) {}

  Status make(const KernelRequest& request) {
    const DType type = type_of(request, op_.x);
    LtProduct product;
    product.a = {type, in_, out_, false};
    product.b = {type, in_, 0, true};
    product.d = {y_type_, out_, 0, true};
    product.transpose_a = true;
    product.what = what_.c_str();
    LT_TRY(make_either(request, product, op_.has_bias ? LtEpilogue::bias : LtEpilogue::none, &product_, &bias_fused_));
    workspace_ = layout_.take(product_->workspace_bytes());
    return Status::ok;
  }

  Status ready(uint32_t samples) override { return product_->ready(samples); }

  Status enqueue(const Site& site) override {
    void* y = site.at<void>(op_.y);
    float* bias = site.at<float>(op_.bias);
    LT_TRY(product_->enqueue(site.samples, site.at<const void>(op_.weight), site.at<const void>(op_.x), y, bias, false,
                             ScratchLayout::start(site.scratch<std::byte>()) + workspace_, site.stream()));
    const bool bias_left = op_.has_bias && !bias_fused_;
    if (!bias_left && !op_.has_relu && (op_.dropout == 0 || !site.training)) return Status::ok;
    return enqueue_epilogue(site, op_, y, y_type_, out_, bias_left ? bias : nullptr);
  }

  const char* name() const override { return "cublaslt linear"; }

 private:
  const std::string what_;
  const DType y_type_;
  std::unique_ptr<LtMatmul> product_;
  bool bias_fused_ = false;
  uint64_t workspace_ = 0;
};

class LtLinearBackward final : public LtLinearKernel {
 public:
  explicit LtLinearBackward(const KernelRequest& request)
      : LtLinearKernel(request),
        weight_what_("linear_backward " + op_.layer + " dweight"),
        data_what_("linear_backward " + op_.layer + " dx"),
        type_(type_of(request, op_.x)),
        makes_dz_(op_.has_relu || op_.dropout != 0 || type_of(request, op_.dy) != type_) {}

  Status make(const KernelRequest& request) {
    LtProduct product;
    product.a = {type_, in_, 0, true};
    product.b = {type_, out_, 0, true};
    product.d = {DType::f32, in_, out_, false};
    product.transpose_b = true;
    product.what = weight_what_.c_str();
    LT_TRY(LtMatmul::make(request, product, &weight_product_));
    uint64_t workspace_bytes = weight_product_->workspace_bytes();
    // How the library adds the bias's gradient up is not said: where bits are to be the same, the own kernel does it.
    if (op_.has_bias && !request.deterministic) {
      product.epilogue = LtEpilogue::bias_gradient;
      const Status status = LtMatmul::make(request, product, &bias_product_);
      if (!ok(status) && status != Status::unsupported) return status;
      if (ok(status)) workspace_bytes = std::max(workspace_bytes, bias_product_->workspace_bytes());
    }
    if (op_.dx != no_tensor) {
      product = {};
      product.a = {type_, in_, out_, false};
      product.b = {type_, out_, 0, true};
      product.d = {type_of(request, op_.dx), in_, 0, true};
      product.what = data_what_.c_str();
      LT_TRY(LtMatmul::make(request, product, &data_product_));
      workspace_bytes = std::max(workspace_bytes, data_product_->workspace_bytes());
    }
    workspace_ = layout_.take(workspace_bytes);
    if (makes_dz_) dz_ = layout_.take(uint64_t{request.micro_batch} * out_ * dtype_bytes(type_));
    if (op_.has_bias) partials_ = layout_.take(column_sums_scratch_bytes(request.micro_batch, out_));
    return Status::ok;
  }

  Status ready(uint32_t samples) override {
    for (LtMatmul* product : {weight_product_.get(), bias_product_.get(), data_product_.get()})
      if (product != nullptr) LT_TRY(product->ready(samples));
    return Status::ok;
  }

  Status enqueue(const Site& site) override {
    std::byte* scratch = ScratchLayout::start(site.scratch<std::byte>());
    const void* dz = site.at<const void>(op_.dy);
    if (makes_dz_) {
      LT_TRY(enqueue_epilogue_backward(site, op_, scratch + dz_, type_, out_));
      dz = scratch + dz_;
    }
    const bool bias_fused = bias_product_ != nullptr && !site.accumulate;
    LtMatmul& product = bias_fused ? *bias_product_ : *weight_product_;
    LT_TRY(product.enqueue(site.samples, site.at<const void>(op_.x), dz, site.at<void>(op_.dweight),
                           site.at<void>(op_.dbias), site.accumulate, scratch + workspace_, site.stream()));
    if (op_.has_bias && !bias_fused)
      LT_TRY(
          enqueue_column_sums(site, dz, type_, site.samples, out_, out_, site.at<float>(op_.dbias), scratch + partials_));
    if (data_product_ == nullptr) return Status::ok;
    return data_product_->enqueue(site.samples, site.at<const void>(op_.weight), dz, site.at<void>(op_.dx), nullptr, false,
                                  scratch + workspace_, site.stream());
  }

  const char* name() const override { return "cublaslt linear_backward"; }

 private:
  const std::string weight_what_, data_what_;
  const DType type_;  // of all factors
  const bool makes_dz_;
  std::unique_ptr<LtMatmul> weight_product_, bias_product_, data_product_;
  uint64_t workspace_ = 0, dz_ = 0, partials_ = 0;
};

// Fails with a sentence where the op is none that the library could serve.
Status check_request(const KernelRequest& request) {
  const Op& op = *request.op;
  if (request.libraries.cublaslt == nullptr)
    return fail(Status::unsupported, "layer %s: cuBLASLt is not there", op.layer.c_str());
  if (request.program->weight_layout != WeightLayout::out_in)
    return fail(Status::unsupported, "cuBLASLt, layer %s: only weights as [out][in] are served", op.layer.c_str());
  const DType type = request.program->tensors[op.x].dtype, weight_type = request.program->tensors[op.weight].dtype;
  if (type != weight_type || (type != DType::f32 && type != DType::bf16))
    return fail(Status::unsupported, "cuBLASLt, layer %s: x and weight are of different types", op.layer.c_str());
  return check_epilogue(op);
}

}  // namespace

std::unique_ptr<Kernel> make_cublaslt_linear(const KernelRequest& request) {
  return make_served<LtLinear>(request, check_request);
}
std::unique_ptr<Kernel> make_cublaslt_linear_backward(const KernelRequest& request) {
  return make_served<LtLinearBackward>(request, check_request);
}

}  // namespace lt::cuda
