#include "backends/cpu/highway/conv2d_residual.h"

#include <string>
#include <utility>

#include "backends/cpu/highway/conv2d.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {
namespace {

// The convolution is an op of a program of its own, whose y lies in front of its scratch.
class Conv2dResidual final : public Kernel {
 public:
  Conv2dResidual(const Program& program, const KernelRequest& request, Target target)
      : op_(*request.op), inner_op_(op_), inner_(program) {
    Tensor sums = program.tensors[op_.y];
    sums_bytes_ = align_up(sums.bytes, tensor_alignment);
    inner_op_.y = static_cast<TensorId>(inner_.tensors.size());
    inner_op_.residual = inner_op_.saved = no_tensor;
    inner_op_.has_relu = false;
    inner_.tensors.push_back(std::move(sums));
    inner_.inference = false;
    kernel_ = make_conv2d(inner_, {&inner_op_, request.micro_batch, request.threads, request.frugal}, target);
    if (kernel_ != nullptr) name_ = std::string(kernel_->name()) + ", residual";
  }
  bool made() const { return kernel_ != nullptr; }

  void run(const KernelContext& context) override {
    for (size_t i = 0; i < context.program->tensors.size(); ++i)
      inner_.tensors[i].offset = context.program->tensors[i].offset;
    inner_.tensors[inner_op_.y].offset = context.program->scratch_offset;
    inner_.scratch_offset = context.program->scratch_offset + sums_bytes_;
    kernel_->run({&inner_, context.arguments, context.pool, context.region});
    const uint64_t elements = op_.y_extent.elements();
    context.pool->run(context.arguments->samples, [&](uint32_t sample, uint32_t) {
      const float* const sums = context.scratch<float>() + sample * elements;
      const float* const residual = context.at<float>(op_.residual) + sample * elements;
      float* const y = context.at<float>(op_.y) + sample * elements;
      for (uint64_t e = 0; e < elements; ++e) {
        const float sum = sums[e] + residual[e];
        y[e] = op_.has_relu && sum < 0 ? 0 : sum;
      }
    });
  }

  uint64_t scratch_bytes() const override { return sums_bytes_ + kernel_->scratch_bytes(); }
  Status outcome() const override { return kernel_->outcome(); }
  const char* name() const override { return name_.c_str(); }

 private:
  const Op op_;
  Op inner_op_;
  Program inner_;
  uint64_t sums_bytes_ = 0;
  std::unique_ptr<Kernel> kernel_;
  std::string name_;
};

}  // namespace

std::unique_ptr<Kernel> make_conv2d_residual(const Program& program, const KernelRequest& request, Target target) {
  auto kernel = std::make_unique<Conv2dResidual>(program, request, target);
  if (!kernel->made()) return nullptr;
  return kernel;
}

}  // namespace lt::cpu::highway
