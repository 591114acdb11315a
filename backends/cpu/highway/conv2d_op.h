// What the forward kernels of conv2d share: the direct form and Winograd's. Owns nothing that grows with the shapes; see
// kernel.h for who calls.
#pragma once

#include <cstdio>

#include "backends/cpu/highway/activation.h"
#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/targets.h"
#include "backends/cpu/kernel.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {

constexpr uint64_t align_floats(uint64_t floats) { return align_up(floats, tensor_alignment / sizeof(float)); }

// Whether a kernel keeps its weights as it wants them, from run to run: where they do not change, and where there are
// samples enough that memory is not for the weights alone.
inline bool keeps_weights(const Program& program, const KernelRequest& request) {
  constexpr uint32_t enough_samples = 8;
  return program.inference && !request.frugal && request.micro_batch >= enough_samples;
}

// What the direct form and Winograd's share: the tensors, and dropout behind them.
class Conv2dOp : public Kernel {
 public:
  Conv2dOp(const KernelRequest& request, const Conv2dShape& shape, Target target)
      : op_(*request.op),
        shape_(shape),
        threads_(request.threads),
        activation_(for_target(activation_forward_table, target)) {}
  const char* name() const override { return name_; }

 protected:
  bool drops(const RunArguments& arguments) const { return op_.dropout > 0 && arguments.training; }
  // ReLU in the kernel itself, unless dropout comes behind it.
  bool relu(const RunArguments& arguments) const { return op_.has_relu && !drops(arguments); }
  const float* x(const KernelContext& context, uint32_t sample) const {
    return context.at<float>(op_.x) + sample * shape_.x_elements();
  }
  float* y(const KernelContext& context, uint32_t sample) const {
    return context.at<float>(op_.y) + sample * shape_.y_elements();
  }
  uint8_t* argmax(const KernelContext& context, uint32_t sample) const {
    uint8_t* const first = context.arguments->training && op_.has_pool ? context.at<uint8_t>(op_.argmax) : nullptr;
    return first != nullptr ? first + sample * shape_.y_elements() : nullptr;
  }
  const float* bias(const KernelContext& context) const { return op_.has_bias ? context.at<float>(op_.bias) : nullptr; }
  void drop(const KernelContext& context, uint32_t sample) const {
    const RunArguments& arguments = *context.arguments;
    if (!drops(arguments)) return;
    const Dropout dropout{arguments.seed, arguments.step, op_.layer_index, arguments.dropout ? op_.dropout : 0.0f};
    activation_(y(context, sample), shape_.y_elements(), op_.has_relu, &dropout, arguments.sample_offset + sample,
                context.at<uint8_t>(op_.mask) + sample * mask_row_bytes(shape_.y_elements()));
  }

  const Op op_;
  const Conv2dShape shape_;
  const uint32_t threads_;
  char name_[48];

 private:
  ActivationForward* const activation_;
};

}  // namespace lt::cpu::highway
