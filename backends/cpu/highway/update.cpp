// The optimizers' updates (update.h), and the op that makes one pass over the contiguous block of parameters, in blocks of
// a fixed number of elements that the pool's threads share.
#include "backends/cpu/highway/update.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/named_kernel.h"
#include "src/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/update.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/adam_inl.h"
#include "backends/cpu/highway/bf16_inl.h"

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {

// Calls step(d, element) on vectors, then on single elements for what they leave over.
template <class Step>
HWY_INLINE void each_vector(uint64_t elements, const Step& step) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  uint64_t i = 0;
  for (; i + hn::Lanes(d) <= elements; i += hn::Lanes(d)) step(d, i);
  for (; i < elements; ++i) step(one, i);
}

template <class D>
HWY_INLINE void store_weights(D d, hn::Vec<D> w, const UpdateBlock& block, uint64_t i) {
  hn::StoreU(w, d, block.w + i);
  if (block.copies != nullptr) store_bf16(d, w, block.copies + i);
}

void Sgd(const UpdateBlock& block, const UpdateRates& rates) {
  each_vector(block.elements, [&](auto d, uint64_t i) HWY_ATTR {
    const auto w = hn::LoadU(d, block.w + i), g = hn::LoadU(d, block.g + i);
    store_weights(d, hn::NegMulAdd(hn::Set(d, rates.rate), g, w), block, i);
  });
}

void Momentum(const UpdateBlock& block, const UpdateRates& rates) {
  each_vector(block.elements, [&](auto d, uint64_t i) HWY_ATTR {
    const auto v = hn::MulAdd(hn::Set(d, rates.momentum), hn::LoadU(d, block.v + i), hn::LoadU(d, block.g + i));
    hn::StoreU(v, d, block.v + i);
    store_weights(d, hn::NegMulAdd(hn::Set(d, rates.rate), v, hn::LoadU(d, block.w + i)), block, i);
  });
}

void Adam(const UpdateBlock& block, const UpdateRates& rates) {
  each_vector(block.elements, [&](auto d, uint64_t i) HWY_ATTR {
    auto w = hn::LoadU(d, block.w + i), m = hn::LoadU(d, block.m + i), v = hn::LoadU(d, block.v + i);
    adam_step(d, hn::LoadU(d, block.g + i), rates, w, m, v);
    hn::StoreU(m, d, block.m + i);
    hn::StoreU(v, d, block.v + i);
    store_weights(d, w, block, i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {

LT_HIGHWAY_TABLE(UpdateFunction*, sgd_table, Sgd);
LT_HIGHWAY_TABLE(UpdateFunction*, momentum_table, Momentum);
LT_HIGHWAY_TABLE(UpdateFunction*, adam_table, Adam);

Updater::Updater(OpKind kind, const Op& op, Target target) : kind_(kind), op_(op) {
  function_ = for_target(kind == OpKind::update_sgd        ? sgd_table
                         : kind == OpKind::update_momentum ? momentum_table
                                                           : adam_table,
                         target);
}

namespace {

// Without a gradient m / sqrt(v) changes by beta1 / sqrt(beta2) a step, the rate falls, and 1 / root grows by less than
// sqrt((step + 1) / step), less and less. A hundredth is left for what rounding does. Where v gets too small for a float,
// its root is below 1e-19 and was nothing beside epsilon before.
bool fades(double beta1, double beta2, double step) { return 1.01 * beta1 * beta1 * (step + 1) < beta2 * step; }

}  // namespace

UpdateRates update_rates(OpKind kind, const RunArguments& arguments) {
  UpdateRates rates{};
  double rate = static_cast<double>(arguments.learning_rate);
  rates.momentum = arguments.momentum;
  if (kind == OpKind::update_adam) {
    const double beta1 = static_cast<double>(arguments.beta1), beta2 = static_cast<double>(arguments.beta2);
    const double step = static_cast<double>(arguments.step);
    rate /= 1 - std::pow(beta1, step);
    rates.beta1 = arguments.beta1;
    rates.beta2 = arguments.beta2;
    rates.complement1 = static_cast<float>(1 - beta1);
    rates.complement2 = static_cast<float>(1 - beta2);
    rates.root = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, step)));
    rates.epsilon = arguments.epsilon;
    rates.fades = fades(beta1, beta2, step) && arguments.epsilon > 1e-16f;
  }
  rates.rate = static_cast<float>(rate);
  return rates;
}

bool Updater::begin(const KernelContext& context) {
  const auto* statistics = context.at<Statistics>(op_.statistics);
  if (statistics != nullptr && statistics->non_finite != 0) return false;
  rates_ = update_rates(kind_, *context.arguments);
  const bool adam = kind_ == OpKind::update_adam;
  whole_ = {context.at<float>(op_.parameters),
            context.at<float>(op_.gradients),
            adam ? context.at<float>(op_.state) : nullptr,
            context.at<float>(adam ? op_.state2 : op_.state),
            context.at<Bf16>(op_.copies),
            op_.parameter_elements};
  return true;
}

void Updater::apply(uint64_t first, uint64_t elements, const float* gradients) const {
  const auto from = [&](auto* values) { return values == nullptr ? nullptr : values + first; };
  function_({whole_.w + first, gradients != nullptr ? gradients : whole_.g + first, from(whole_.m), from(whole_.v),
             from(whole_.copies), elements},
            rates_);
}

namespace {

constexpr uint64_t block_elements = 16384;  // a multiple of every vector

class UpdateKernel final : public NamedKernel {
 public:
  UpdateKernel(const char* noun, const Op& op, Target target) : NamedKernel(noun, target), updater_(op.kind, op, target) {
    elements_ = op.parameter_elements;
  }

  void run(const KernelContext& context) override {
    if (!updater_.begin(context)) return;
    context.pool->run(static_cast<uint32_t>(divide_up(elements_, block_elements)), [&](uint32_t block, uint32_t) {
      const uint64_t first = block * block_elements;
      updater_.apply(first, std::min(block_elements, elements_ - first), nullptr);
    });
  }

 private:
  Updater updater_;
  uint64_t elements_;
};

}  // namespace

std::unique_ptr<Kernel> make_update(const Program&, const KernelRequest& request, Target target) {
  const Op& op = *request.op;
  switch (op.kind) {
    case OpKind::update_sgd: return std::make_unique<UpdateKernel>("sgd", op, target);
    case OpKind::update_momentum: return std::make_unique<UpdateKernel>("momentum", op, target);
    case OpKind::update_adam: return std::make_unique<UpdateKernel>("adam", op, target);
    default: (void)fail(Status::unsupported, "%s: not an update", op.layer.c_str()); return nullptr;
  }
}

}  // namespace lt::cpu::highway
#endif
