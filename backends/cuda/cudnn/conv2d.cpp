// Convolutions by cuDNN. The library makes the product, with residual, bias and ReLU where nothing else follows and an
// engine does that; the own kernels around it do the rest. Where tensor cores multiply, channels are padded to whole 16
// bytes in scratch. See kernel.h for memory and threads.
#include "backends/cuda/cudnn/conv2d.h"

#include <algorithm>
#include <string>
#include <vector>

#include "backends/cuda/cudnn/graph.h"
#include "backends/cuda/cudnn/padding.h"
#include "backends/cuda/own/own.h"
#include "backends/cuda/scratch.h"

namespace lt::cuda {
namespace {

// The product of MNIST's and CIFAR-10's largest layers, twice: engines that take more split their sums without need.
constexpr uint64_t workspace_cap_bytes = uint64_t{64} << 20;

// The plans of one pass, one for each number of samples that came: kept for good, as graphs hold their kernels.
class CudnnProduct {
 public:
  Status make(const CudnnCaller& caller, const KernelRequest& request, const CudnnConvolution& convolution) {
    convolution_ = convolution;
    rules_ = {request.precision, request.deterministic, workspace_cap_bytes};
    plans_.clear();
    LT_TRY(add(caller, request.micro_batch));
    rules_.workspace_limit_bytes = plans_[0].plan.workspace_bytes();
    return Status::ok;
  }
  bool is_made() const { return !plans_.empty(); }
  uint64_t workspace_bytes() const { return rules_.workspace_limit_bytes; }
  DType result() const { return convolution_.result; }

  Status ready(const CudnnCaller& caller, uint32_t samples) {
    return find(samples) != nullptr ? Status::ok : add(caller, samples);
  }
  Status enqueue(const CudnnCaller& caller, uint32_t samples, const CudnnPlan::Memory& memory, CUstream stream) {
    LT_TRY(ready(caller, samples));
    return find(samples)->enqueue(memory, stream);
  }

 private:
  struct Entry {
    uint32_t samples;
    CudnnPlan plan;
  };

  CudnnPlan* find(uint32_t samples) {
    for (Entry& entry : plans_)
      if (entry.samples == samples) return &entry.plan;
    return nullptr;
  }
  Status add(const CudnnCaller& caller, uint32_t samples) {
    Entry entry = {samples, {}};
    LT_TRY(entry.plan.make(caller, convolution_, samples, rules_));
    plans_.push_back(std::move(entry));
    return Status::ok;
  }

  CudnnConvolution convolution_;
  CudnnRules rules_;
  std::vector<Entry> plans_;
};

// What both directions know: channels in memory, and the copies that are padded.
class CudnnConv2dKernel : public Kernel {
 public:
  explicit CudnnConv2dKernel(const KernelRequest& request)
      : op_(*request.op),
        what_(std::string(op_kind_name(op_.kind)) + " " + op_.layer),
        caller_{request.libraries.cudnn, static_cast<cudnnHandle_t>(request.libraries.cudnn_handle), what_.c_str()},
        type_(request.program->tensors[op_.x].dtype),
        inputs_(padded_channels(op_.x_extent.channels, request.precision)),
        outputs_(padded_channels(op_.conv_extent.channels, request.precision)),
        x_pixels_(uint64_t{op_.x_extent.height} * op_.x_extent.width),
        z_pixels_(uint64_t{op_.conv_extent.height} * op_.conv_extent.width),
        taps_(uint64_t{op_.conv.kernel} * op_.conv.kernel) {}
  uint64_t scratch_bytes() const override { return layout_.bytes(); }

 protected:
  bool pads_inputs() const { return inputs_ != op_.x_extent.channels; }
  bool pads_outputs() const { return outputs_ != op_.conv_extent.channels; }
  bool pads_weight() const { return pads_inputs() || pads_outputs(); }
  uint64_t weight_bytes(DType type) const { return outputs_ * taps_ * inputs_ * dtype_bytes(type); }
  uint64_t x_bytes(uint32_t samples) const { return samples * x_pixels_ * inputs_ * dtype_bytes(type_); }

  CudnnConvolution convolution(CudnnPass pass) const {
    CudnnConvolution made;
    made.pass = pass;
    made.x = {op_.x_extent.height, op_.x_extent.width, inputs_};
    made.z = {op_.conv_extent.height, op_.conv_extent.width, outputs_};
    made.window = op_.conv;
    made.type = made.result = type_;
    return made;
  }

  // The op's x, or a copy of it at `place` of the scratch.
  Status x_for_library(const Site& site, uint64_t place, void** x) const {
    *x = site.at<void>(op_.x);
    if (!pads_inputs()) return Status::ok;
    void* copy = ScratchLayout::start(site.scratch<std::byte>()) + place;
    const uint64_t rows = site.samples * x_pixels_;
    LT_TRY(enqueue_pad_channels(site.launcher, type_, {*x, rows, op_.x_extent.channels}, {copy, rows, inputs_}));
    *x = copy;
    return Status::ok;
  }
  Status weight_for_library(const Site& site, uint64_t place, void** weight) const {
    *weight = site.at<void>(op_.weight);
    if (!pads_weight()) return Status::ok;
    void* copy = ScratchLayout::start(site.scratch<std::byte>()) + place;
    LT_TRY(enqueue_pad_channels(site.launcher, type_, {*weight, op_.conv_extent.channels * taps_, op_.x_extent.channels},
                                {copy, outputs_ * taps_, inputs_}));
    *weight = copy;
    return Status::ok;
  }

  const Op op_;
  const std::string what_;
  const CudnnCaller caller_;
  const DType type_;  // of x, weight, z
  const uint32_t inputs_, outputs_;
  const uint64_t x_pixels_, z_pixels_, taps_;
  ScratchLayout layout_;
};

class CudnnConv2d final : public CudnnConv2dKernel {
 public:
  explicit CudnnConv2d(const KernelRequest& request)
      : CudnnConv2dKernel(request),
        // Without a pool the product is y's size, and what follows is done in place; but y may be what is still to be
        // added.
        in_place_(!op_.has_pool && !pads_outputs() && request.program->tensors[op_.y].dtype == type_ &&
                  (op_.residual == no_tensor || op_.residual != op_.y)) {}

  Status make(const KernelRequest& request) {
    CudnnConvolution asked = convolution(CudnnPass::forward);
    asked.has_residual = in_place_ && op_.residual != no_tensor;
    asked.has_bias = in_place_ && op_.dropout == 0 && op_.has_bias;
    asked.has_relu = in_place_ && op_.dropout == 0 && op_.has_relu;
    Status status = product_.make(caller_, request, asked);
    if (status == Status::unsupported && asked.fuses()) {
      asked.has_residual = asked.has_bias = asked.has_relu = false;
      status = product_.make(caller_, request, asked);
    }
    LT_TRY(status);
    residual_fused_ = asked.has_residual;
    bias_fused_ = asked.has_bias;
    relu_fused_ = asked.has_relu;
    workspace_ = layout_.take(product_.workspace_bytes());
    if (pads_inputs()) x_ = layout_.take(x_bytes(request.micro_batch));
    if (pads_weight()) weight_ = layout_.take(weight_bytes(type_));
    if (!in_place_) z_ = layout_.take(request.micro_batch * z_pixels_ * outputs_ * dtype_bytes(type_));
    return Status::ok;
  }

  Status ready(uint32_t samples) override { return product_.ready(caller_, samples); }

  Status enqueue(const Site& site) override {
    std::byte* scratch = ScratchLayout::start(site.scratch<std::byte>());
    CudnnPlan::Memory memory;
    LT_TRY(x_for_library(site, x_, &memory.x));
    LT_TRY(weight_for_library(site, weight_, &memory.weight));
    memory.z = in_place_ ? site.at<void>(op_.y) : scratch + z_;
    memory.residual = residual_fused_ ? site.at<void>(op_.residual) : nullptr;
    memory.bias = bias_fused_ ? site.at<void>(op_.bias) : nullptr;
    memory.workspace = scratch + workspace_;
    LT_TRY(product_.enqueue(caller_, site.samples, memory, site.stream()));
    const bool bias_left = op_.has_bias && !bias_fused_, residual_left = op_.residual != no_tensor && !residual_fused_;
    if (in_place_ && !bias_left && !residual_left && (!op_.has_relu || relu_fused_) && (op_.dropout == 0 || !site.training))
      return Status::ok;
    return enqueue_epilogue(site, op_, memory.z, type_, outputs_, bias_left ? site.at<float>(op_.bias) : nullptr);
  }

  const char* name() const override { return "cudnn conv2d"; }

 private:
  const bool in_place_;
  CudnnProduct product_;
  bool residual_fused_ = false, bias_fused_ = false, relu_fused_ = false;  // all that the op has, or none
  uint64_t workspace_ = 0, x_ = 0, weight_ = 0, z_ = 0;
};

class CudnnConv2dBackward final : public CudnnConv2dKernel {
 public:
  explicit CudnnConv2dBackward(const KernelRequest& request)
      : CudnnConv2dKernel(request),
        makes_dz_(op_.has_pool || op_.has_relu || op_.dropout != 0 || pads_outputs() ||
                  request.program->tensors[op_.dy].dtype != type_) {}

  Status make(const KernelRequest& request) {
    CudnnConvolution asked = convolution(CudnnPass::weight_gradient);
    asked.result = DType::f32;
    Status status = weight_product_.make(caller_, request, asked);
    if (status == Status::unsupported && type_ != DType::f32) {
      asked.result = type_;
      status = weight_product_.make(caller_, request, asked);
    }
    LT_TRY(status);
    uint64_t workspace_bytes = weight_product_.workspace_bytes();
    if (op_.dx != no_tensor) {
      LT_TRY(data_product_.make(caller_, request, convolution(CudnnPass::data_gradient)));
      workspace_bytes = std::max(workspace_bytes, data_product_.workspace_bytes());
      if (pads_weight()) weight_ = layout_.take(weight_bytes(type_));
    }
    workspace_ = layout_.take(workspace_bytes);
    // x is read before dx is written, in the same place.
    if (pads_inputs()) x_ = layout_.take(x_bytes(request.micro_batch));
    if (makes_dz_) dz_ = layout_.take(request.micro_batch * z_pixels_ * outputs_ * dtype_bytes(type_));
    dweight_ = layout_.take(weight_bytes(weight_product_.result()));
    if (op_.has_bias)
      partials_ = layout_.take(column_sums_scratch_bytes(request.micro_batch * z_pixels_, op_.conv_extent.channels));
    return Status::ok;
  }

  Status ready(uint32_t samples) override {
    LT_TRY(weight_product_.ready(caller_, samples));
    return data_product_.is_made() ? data_product_.ready(caller_, samples) : Status::ok;
  }

  Status enqueue(const Site& site) override {
    std::byte* scratch = ScratchLayout::start(site.scratch<std::byte>());
    CudnnPlan::Memory memory;
    memory.workspace = scratch + workspace_;
    memory.z = site.at<void>(op_.dy);
    if (makes_dz_) {
      memory.z = scratch + dz_;
      LT_TRY(enqueue_epilogue_backward(site, op_, memory.z, type_, outputs_));
    }
    if (op_.has_bias)
      LT_TRY(enqueue_column_sums(site, memory.z, type_, site.samples * z_pixels_, op_.conv_extent.channels, outputs_,
                                 site.at<float>(op_.dbias), scratch + partials_));
    LT_TRY(x_for_library(site, x_, &memory.x));
    LT_TRY(enqueue_weight_gradient(site, memory));
    return data_product_.is_made() ? enqueue_data_gradient(site, memory) : Status::ok;
  }

  const char* name() const override { return "cudnn conv2d_backward"; }

 private:
  // Into dweight where that is as the library makes it, else by way of the scratch.
  Status enqueue_weight_gradient(const Site& site, CudnnPlan::Memory memory) {
    const bool direct = !pads_weight() && !site.accumulate && weight_product_.result() == DType::f32;
    float* dweight = site.at<float>(op_.dweight);
    memory.weight = direct ? static_cast<void*>(dweight) : ScratchLayout::start(site.scratch<std::byte>()) + dweight_;
    LT_TRY(weight_product_.enqueue(caller_, site.samples, memory, site.stream()));
    if (direct) return Status::ok;
    return enqueue_unpad_channels(site.launcher, weight_product_.result(), {memory.weight, outputs_ * taps_, inputs_},
                                  DType::f32, {dweight, op_.conv_extent.channels * taps_, op_.x_extent.channels},
                                  site.accumulate);
  }

  Status enqueue_data_gradient(const Site& site, CudnnPlan::Memory memory) {
    LT_TRY(weight_for_library(site, weight_, &memory.weight));
    void* dx = site.at<void>(op_.dx);
    memory.x = pads_inputs() ? ScratchLayout::start(site.scratch<std::byte>()) + x_ : dx;
    LT_TRY(data_product_.enqueue(caller_, site.samples, memory, site.stream()));
    if (!pads_inputs()) return Status::ok;
    const uint64_t rows = site.samples * x_pixels_;
    return enqueue_unpad_channels(site.launcher, type_, {memory.x, rows, inputs_}, type_, {dx, rows, op_.x_extent.channels},
                                  false);
  }

  const bool makes_dz_;
  CudnnProduct weight_product_, data_product_;
  uint64_t workspace_ = 0, x_ = 0, weight_ = 0, dz_ = 0, dweight_ = 0, partials_ = 0;
};

// Fails with a sentence where the op is none that the library could serve.
Status check_request(const KernelRequest& request) {
  const Op& op = *request.op;
  if (request.libraries.cudnn == nullptr)
    return fail(Status::unsupported, "layer %s: cuDNN is not there", op.layer.c_str());
  if (request.program->weight_layout != WeightLayout::out_in)
    return fail(Status::unsupported, "cuDNN, layer %s: only weights as [out][in] are served", op.layer.c_str());
  const DType type = request.program->tensors[op.x].dtype;
  if (type != request.program->tensors[op.weight].dtype ||
      type != (request.precision == Precision::bf16 ? DType::bf16 : DType::f32))
    return fail(Status::unsupported, "cuDNN, layer %s: x and weight are not both of the precision's type",
                op.layer.c_str());
  if (op.residual != no_tensor && type != request.program->tensors[op.residual].dtype)
    return fail(Status::unsupported, "cuDNN, layer %s: x and residual are of different types", op.layer.c_str());
  return check_epilogue(op);
}

}  // namespace

std::unique_ptr<Kernel> make_cudnn_conv2d(const KernelRequest& request) {
  return make_served<CudnnConv2d>(request, check_request);
}
std::unique_ptr<Kernel> make_cudnn_conv2d_backward(const KernelRequest& request) {
  return make_served<CudnnConv2dBackward>(request, check_request);
}

}  // namespace lt::cuda
