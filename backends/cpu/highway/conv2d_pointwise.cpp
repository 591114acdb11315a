// On gemm.h. With a stride, the pixels of some lines of outputs are brought together in the thread's scratch first, few
// enough to stay in the second cache.
#include "backends/cpu/highway/conv2d_pointwise.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "backends/cpu/highway/conv2d_op.h"
#include "backends/cpu/highway/gemm.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {
namespace {

// Pixels that are brought together, at most, unless a line has more.
constexpr uint32_t gathered_pixels = 192;

class Conv2dPointwise final : public Kernel {
 public:
  Conv2dPointwise(const Program& program, const KernelRequest& request, const Conv2dShape& shape, Target target)
      : op_(*request.op),
        shape_(shape),
        target_(target),
        packed_bytes_(keeps_weights(program, request) ? gemm_packed_bytes(product(1), target) : 0),
        lines_(std::clamp(gathered_pixels / shape.y_width, 1u, shape.y_height)) {
    if (shape.stride == 1) {
      scratch_bytes_ = gemm_scratch_bytes(product(request.micro_batch * shape.y_pixels()), request.threads, target);
    } else {
      const uint64_t pixels = uint64_t{lines_} * shape.y_width;
      gathered_bytes_ = align_up(pixels * shape.in_channels * sizeof(float), tensor_alignment);
      thread_bytes_ = gathered_bytes_ + align_up(gemm_scratch_bytes(product(pixels), 1, target), tensor_alignment);
      scratch_bytes_ = thread_bytes_ * request.threads;
    }
    std::snprintf(name_, sizeof name_, "highway conv2d pointwise %s", target_name(target));
  }

  void take_weights(const KernelContext& context) override {
    if (packed_bytes_ != 0)
      gemm_pack(product(1), context.at<float>(op_.weight), shape_.out_channels, context.pool, context.at<float>(op_.saved),
                target_);
  }

  void run(const KernelContext& context) override {
    const uint32_t samples = context.arguments->samples;
    if (op_.residual != no_tensor && op_.residual != op_.y)
      context.pool->run(samples, [&](uint32_t sample, uint32_t) {
        const uint64_t elements = shape_.y_elements();
        std::memcpy(context.at<float>(op_.y) + sample * elements, context.at<float>(op_.residual) + sample * elements,
                    elements * sizeof(float));
      });
    GemmOperands operands{};
    operands.lda = shape_.in_channels;
    operands.b = context.at<float>(packed_bytes_ != 0 ? op_.saved : op_.weight);
    operands.b_packed = packed_bytes_ != 0;
    operands.ldb = operands.ldc = shape_.out_channels;
    operands.bias = op_.has_bias ? context.at<float>(op_.bias) : nullptr;
    operands.relu = op_.has_relu;
    operands.accumulate = op_.residual != no_tensor;
    if (shape_.stride == 1) {
      operands.a = context.at<float>(op_.x);
      operands.c = context.at<float>(op_.y);
      gemm(product(samples * shape_.y_pixels()), operands, context.pool, context.scratch<std::byte>(), target_);
      return;
    }
    const uint32_t units = static_cast<uint32_t>(divide_up(shape_.y_height, lines_));
    context.pool->run(samples * units, [&](uint32_t block, uint32_t thread) {
      const uint32_t sample = block / units, line = block % units * lines_, end = std::min(line + lines_, shape_.y_height);
      std::byte* const own = context.scratch<std::byte>() + thread * thread_bytes_;
      gather(context.at<float>(op_.x) + sample * shape_.x_elements(), line, end, reinterpret_cast<float*>(own));
      GemmOperands part = operands;
      part.a = reinterpret_cast<const float*>(own);
      part.c =
          context.at<float>(op_.y) + sample * shape_.y_elements() + uint64_t{line} * shape_.y_width * shape_.out_channels;
      gemm(product(uint64_t{end - line} * shape_.y_width), part, nullptr, own + gathered_bytes_, target_);
    });
  }

  uint64_t scratch_bytes() const override { return scratch_bytes_; }
  uint64_t saved_bytes() const override { return packed_bytes_; }
  const char* name() const override { return name_; }

 private:
  GemmShape product(uint64_t pixels) const {
    return {static_cast<uint32_t>(pixels), shape_.out_channels, shape_.in_channels, false, false};
  }

  // What the outputs' lines [line, end) see of a sample.
  void gather(const float* x, uint32_t line, uint32_t end, float* to) const {
    const uint64_t channels = shape_.in_channels;
    for (; line < end; ++line) {
      const float* from = x + uint64_t{line} * shape_.stride * shape_.width * channels;
      for (uint32_t column = 0; column < shape_.y_width; ++column, from += shape_.stride * channels, to += channels)
        std::memcpy(to, from, channels * sizeof(float));
    }
  }

  const Op op_;
  const Conv2dShape shape_;
  const Target target_;
  const uint64_t packed_bytes_;
  const uint32_t lines_;  // of outputs, of a unit of work with a stride
  uint64_t gathered_bytes_ = 0, thread_bytes_ = 0, scratch_bytes_ = 0;
  char name_[48];
};

}  // namespace

bool pointwise_serves(const Op& op) {
  return op.conv.kernel == 1 && op.conv.padding == 0 && !op.has_pool && op.dropout <= 0;
}

std::unique_ptr<Kernel> make_conv2d_pointwise(const Program& program, const KernelRequest& request,
                                              const Conv2dShape& shape, Target target) {
  if (request.micro_batch * shape.y_pixels() > UINT32_MAX) {
    (void)fail(Status::unsupported, "%s: a 1x1 convolution of %u samples of %u x %u pixels; take smaller batches",
               request.op->layer.c_str(), request.micro_batch, shape.y_height, shape.y_width);
    return nullptr;
  }
  return std::make_unique<Conv2dPointwise>(program, request, shape, target);
}

}  // namespace lt::cpu::highway
