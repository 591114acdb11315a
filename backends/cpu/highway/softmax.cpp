// Softmax and cross-entropy: the losses and gradients of the samples on the pool's threads, then the batch's statistics in
// the order of the samples. Scratch holds a loss and a mark a sample.
#include <algorithm>
#include <cmath>

#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/named_kernel.h"
#include "src/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/softmax.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#ifndef LT_HIGHWAY_SOFTMAX_ONCE
#define LT_HIGHWAY_SOFTMAX_ONCE
namespace lt::cpu::highway {

struct Loss {
  double value;
  uint64_t correct;
};

// The loss of one sample and, where dx is not null, its gradient times `weight`.
using SoftmaxFunction = Loss(const float* x, uint64_t classes, uint64_t label, float weight, float* dx);

}  // namespace lt::cpu::highway
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

Loss Softmax(const float* x, uint64_t classes, uint64_t label, float weight, float* dx) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  constexpr size_t most_lanes = hn::MaxLanes(hn::ScalableTag<float>());
  HWY_ALIGN float part[most_lanes];

  uint64_t largest = 0;
  for (uint64_t c = 1; c < classes; ++c)
    if (x[largest] < x[c]) largest = c;

  const auto top = hn::Set(d, x[largest]);
  double sum = 0;
  for (uint64_t c = 0; c < classes; c += lanes) {
    const uint64_t n = std::min<uint64_t>(lanes, classes - c);
    if (n < lanes) {
      for (uint64_t i = 0; i < lanes; ++i) part[i] = i < n ? x[c + i] : x[largest];
    } else {
      hn::Store(hn::LoadU(d, x + c), d, part);
    }
    const auto difference = hn::Sub(hn::Load(d, part), top);
    // Exp makes 0 of a NaN, which has to reach the loss.
    const auto e = hn::IfThenElse(hn::IsNaN(difference), difference, hn::Exp(d, difference));
    hn::Store(e, d, part);
    for (uint64_t i = 0; i < n; ++i) sum += static_cast<double>(part[i]);
    if (dx != nullptr) std::copy(part, part + n, dx + c);
  }
  if (dx != nullptr) {
    const float factor = static_cast<float>(static_cast<double>(weight) / sum);
    for (uint64_t c = 0; c < classes; ++c) dx[c] *= factor;
    dx[label] -= weight;
  }
  return {std::log(sum) - (static_cast<double>(x[label]) - static_cast<double>(x[largest])), largest == label};
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {

LT_HIGHWAY_TABLE(SoftmaxFunction*, softmax_table, Softmax);

namespace {

constexpr uint64_t block_samples = 64;

class SoftmaxKernel final : public NamedKernel {
 public:
  SoftmaxKernel(const Op& op, uint32_t micro_batch, Target target)
      : NamedKernel("softmax", target), op_(op), micro_batch_(micro_batch), function_(for_target(softmax_table, target)) {}

  uint64_t scratch_bytes() const override { return align_up(micro_batch_ * sizeof(Loss), tensor_alignment); }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    if (arguments.labels == nullptr) return;
    const uint64_t classes = op_.x_extent.elements(), samples = arguments.samples;
    const float* x = context.at<float>(op_.x);
    float* dx = arguments.training ? context.at<float>(op_.dx) : nullptr;
    auto* losses = context.scratch<Loss>();
    const float weight = static_cast<float>(1.0 / arguments.batch_samples);
    context.pool->run(static_cast<uint32_t>(divide_up(samples, block_samples)), [&](uint32_t block, uint32_t) {
      for (uint64_t s = block * block_samples; s < std::min(samples, (block + 1) * block_samples); ++s)
        losses[s] = function_(x + s * classes, classes, static_cast<uint64_t>(arguments.labels[s]), weight,
                              dx == nullptr ? nullptr : dx + s * classes);
    });

    auto* statistics = context.at<Statistics>(op_.statistics);
    Statistics sums = arguments.accumulate ? *statistics : Statistics{};
    for (uint64_t s = 0; s < samples; ++s) {
      sums.loss_sum += losses[s].value;
      sums.correct += losses[s].correct;
      sums.non_finite += !std::isfinite(losses[s].value);
    }
    *statistics = sums;
  }

 private:
  Op op_;
  uint64_t micro_batch_;
  SoftmaxFunction* function_;
};

}  // namespace

std::unique_ptr<Kernel> make_softmax_cross_entropy(const Program&, const KernelRequest& request, Target target) {
  return std::make_unique<SoftmaxKernel>(*request.op, request.micro_batch, target);
}

}  // namespace lt::cpu::highway
#endif
