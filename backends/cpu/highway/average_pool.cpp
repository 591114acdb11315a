// The mean over all pixels, a vector of channels at a time; units of work are samples. Sums in float, pixel after pixel.
#include <algorithm>

#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/named_kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/average_pool.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef LT_HIGHWAY_AVERAGE_POOL_ONCE
#define LT_HIGHWAY_AVERAGE_POOL_ONCE
namespace lt::cpu::highway {
// One sample.
using AveragePool = void(const float* x, uint64_t pixels, uint64_t channels, float* y);
}  // namespace lt::cpu::highway
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE void average_vector(D d, const float* x, uint64_t pixels, uint64_t channels, float* y) {
  auto sum = hn::Zero(d);
  for (uint64_t pixel = 0; pixel < pixels; ++pixel) sum = hn::Add(sum, hn::LoadU(d, x + pixel * channels));
  hn::StoreU(hn::Div(sum, hn::Set(d, static_cast<float>(pixels))), d, y);
}

void Average(const float* x, uint64_t pixels, uint64_t channels, float* y) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  uint64_t c = 0;
  for (; c + hn::Lanes(d) <= channels; c += hn::Lanes(d)) average_vector(d, x + c, pixels, channels, y + c);
  for (; c < channels; ++c) average_vector(one, x + c, pixels, channels, y + c);
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {
LT_HIGHWAY_TABLE(AveragePool*, average_pool_table, Average);
namespace {

class AveragePoolKernel final : public NamedKernel {
 public:
  AveragePoolKernel(const Op& op, Target target)
      : NamedKernel("average_pool", target), op_(op), average_(for_target(average_pool_table, target)) {}

  void run(const KernelContext& context) override {
    const float* const x = context.at<float>(op_.x);
    float* const y = context.at<float>(op_.y);
    const uint64_t channels = op_.x_extent.channels, elements = op_.x_extent.elements();
    context.pool->run(context.arguments->samples, [&](uint32_t sample, uint32_t) {
      average_(x + sample * elements, elements / channels, channels, y + sample * channels);
    });
  }

 private:
  const Op op_;
  AveragePool* const average_;
};

}  // namespace

std::unique_ptr<Kernel> make_average_pool(const Program&, const KernelRequest& request, Target target) {
  return std::make_unique<AveragePoolKernel>(*request.op, target);
}

}  // namespace lt::cpu::highway
#endif
