// Max-pool, ReLU and dropout as an op of their own, and its way back: vectors run over the channels. Samples are split over
// the pool's threads; the way back through a max-pool keeps a row of gradients a thread in scratch.
#include <algorithm>
#include <cstring>

#include "backends/cpu/highway/activation.h"
#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/named_kernel.h"
#include "src/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/activation_op.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef LT_HIGHWAY_ACTIVATION_OP_ONCE
#define LT_HIGHWAY_ACTIVATION_OP_ONCE
namespace lt::cpu::highway {

inline constexpr uint32_t most_pool_kernel = 16;  // argmax is a byte

// The places of one window that lie inside the sample, in row-major order.
struct WindowPlaces {
  uint32_t count;
  uint32_t index[most_pool_kernel * most_pool_kernel];   // row * kernel + column of the window
  uint64_t offset[most_pool_kernel * most_pool_kernel];  // of channel 0 within the sample
};

// One window, all channels. argmax may be null.
using PoolForward = void(const float* x, const WindowPlaces& places, uint64_t channels, float* y, uint8_t* argmax);
// dx += dy at the winners.
using PoolBackward = void(const float* dy, const uint8_t* argmax, const WindowPlaces& places, uint64_t channels, float* dx);

}  // namespace lt::cpu::highway
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A NaN counts as larger than any number, so that it reaches the loss.
template <class D>
HWY_INLINE void pool_vector(D d, const float* x, const WindowPlaces& places, uint64_t c, float* y, uint8_t* argmax) {
  const hn::RebindToSigned<D> d32;
  const hn::Rebind<uint8_t, D> d8;
  auto best = hn::LoadU(d, x + places.offset[0] + c);
  auto best_index = hn::Set(d32, static_cast<int32_t>(places.index[0]));
  for (uint32_t p = 1; p < places.count; ++p) {
    const auto value = hn::LoadU(d, x + places.offset[p] + c);
    const auto better = hn::Or(hn::Gt(value, best), hn::AndNot(hn::IsNaN(best), hn::IsNaN(value)));
    best = hn::IfThenElse(better, value, best);
    best_index =
        hn::IfThenElse(hn::RebindMask(d32, better), hn::Set(d32, static_cast<int32_t>(places.index[p])), best_index);
  }
  hn::StoreU(best, d, y + c);
  if (argmax != nullptr) hn::StoreU(hn::DemoteTo(d8, best_index), d8, argmax + c);
}

void Pool(const float* x, const WindowPlaces& places, uint64_t channels, float* y, uint8_t* argmax) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  uint64_t c = 0;
  for (; c + hn::Lanes(d) <= channels; c += hn::Lanes(d)) pool_vector(d, x, places, c, y, argmax);
  for (; c < channels; ++c) pool_vector(one, x, places, c, y, argmax);
}

template <class D>
HWY_INLINE void unpool_vector(D d, const float* dy, const uint8_t* argmax, const WindowPlaces& places, uint64_t c,
                              float* dx) {
  const hn::RebindToSigned<D> d32;
  const hn::Rebind<uint8_t, D> d8;
  const auto gradient = hn::LoadU(d, dy + c);
  const auto winner = hn::PromoteTo(d32, hn::LoadU(d8, argmax + c));
  for (uint32_t p = 0; p < places.count; ++p) {
    const auto here = hn::RebindMask(d, hn::Eq(winner, hn::Set(d32, static_cast<int32_t>(places.index[p]))));
    float* to = dx + places.offset[p] + c;
    hn::StoreU(hn::Add(hn::LoadU(d, to), hn::IfThenElseZero(here, gradient)), d, to);
  }
}

void Unpool(const float* dy, const uint8_t* argmax, const WindowPlaces& places, uint64_t channels, float* dx) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  uint64_t c = 0;
  for (; c + hn::Lanes(d) <= channels; c += hn::Lanes(d)) unpool_vector(d, dy, argmax, places, c, dx);
  for (; c < channels; ++c) unpool_vector(one, dy, argmax, places, c, dx);
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {

LT_HIGHWAY_TABLE(PoolForward*, pool_forward_table, Pool);
LT_HIGHWAY_TABLE(PoolBackward*, pool_backward_table, Unpool);

namespace {

constexpr uint64_t block_elements = 16384;  // of x, per block of work, at least

// Calls window(places, element of y) for each window of a sample; `element` is that of channel 0.
template <class Call>
void each_window(const Op& op, const Call& window) {
  const Window pool = op.pool;
  const uint64_t channels = op.x_extent.channels;
  WindowPlaces places;
  for (uint64_t row = 0; row < op.y_extent.height; ++row)
    for (uint64_t column = 0; column < op.y_extent.width; ++column) {
      places.count = 0;
      for (uint32_t index = 0; index < pool.kernel * pool.kernel; ++index) {
        // Unsigned: what lies in the padding in front of the sample is past its end too.
        const uint64_t x_row = row * pool.stride + index / pool.kernel - pool.padding;
        const uint64_t x_column = column * pool.stride + index % pool.kernel - pool.padding;
        if (x_row >= op.x_extent.height || x_column >= op.x_extent.width) continue;
        places.index[places.count] = index;
        places.offset[places.count++] = (x_row * op.x_extent.width + x_column) * channels;
      }
      if (places.count != 0) window(places, (row * op.y_extent.width + column) * channels);
    }
}

template <class Call>
void each_sample(const Op& op, const KernelContext& context, const Call& call) {
  const uint64_t samples = context.arguments->samples;
  const uint64_t block_samples = divide_up(block_elements, op.x_extent.elements());
  context.pool->run(static_cast<uint32_t>(divide_up(samples, block_samples)), [&](uint32_t block, uint32_t thread) {
    for (uint64_t s = block * block_samples; s < std::min(samples, (block + 1) * block_samples); ++s)
      call(static_cast<uint32_t>(s), thread);
  });
}

template <class T>
T* row(T* first, uint64_t sample, uint64_t elements) {
  return first == nullptr ? nullptr : first + sample * elements;
}

class ActivationKernel final : public NamedKernel {
 public:
  ActivationKernel(const Op& op, Target target)
      : NamedKernel("activation", target),
        op_(op),
        pool_(for_target(pool_forward_table, target)),
        activation_(for_target(activation_forward_table, target)) {}

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    const uint64_t x_elements = op_.x_extent.elements(), y_elements = op_.y_extent.elements();
    const Dropout dropout{arguments.seed, arguments.step, op_.layer_index, arguments.dropout ? op_.dropout : 0};
    const bool drops = op_.dropout != 0 && arguments.training;
    const float* x_all = context.at<float>(op_.x);
    float* y_all = context.at<float>(op_.y);
    uint8_t* argmax_all = arguments.training ? context.at<uint8_t>(op_.argmax) : nullptr;
    auto* mask_all = context.at<uint8_t>(op_.mask);
    each_sample(op_, context, [&](uint32_t sample, uint32_t) {
      const float* x = row(x_all, sample, x_elements);
      float* y = row(y_all, sample, y_elements);
      uint8_t* argmax = row(argmax_all, sample, y_elements);
      if (op_.has_pool)
        each_window(op_, [&](const WindowPlaces& places, uint64_t element) {
          pool_(x, places, op_.x_extent.channels, y + element, argmax == nullptr ? nullptr : argmax + element);
        });
      else if (x != y)
        std::memcpy(y, x, y_elements * sizeof(float));
      activation_(y, y_elements, op_.has_relu, drops ? &dropout : nullptr, arguments.sample_offset + sample,
                  row(mask_all, sample, mask_row_bytes(y_elements)));
    });
  }

 private:
  Op op_;
  PoolForward* pool_;
  ActivationForward* activation_;
};

class ActivationBackwardKernel final : public NamedKernel {
 public:
  ActivationBackwardKernel(const Op& op, uint32_t threads, Target target)
      : NamedKernel("activation backward", target),
        op_(op),
        threads_(threads),
        pool_(for_target(pool_backward_table, target)),
        activation_(for_target(activation_backward_table, target)) {}

  uint64_t scratch_bytes() const override { return op_.has_pool ? threads_ * row_bytes() : 0; }

  void run(const KernelContext& context) override {
    if (op_.dx == no_tensor) return;
    const RunArguments& arguments = *context.arguments;
    const uint64_t x_elements = op_.x_extent.elements(), y_elements = op_.y_extent.elements();
    const float scale = arguments.dropout ? 1.0f / (1.0f - op_.dropout) : 1.0f;
    const float* dy_all = context.at<float>(op_.dy);
    const float* y_all = context.at<float>(op_.y);
    const auto* mask_all = op_.dropout != 0 ? context.at<uint8_t>(op_.mask) : nullptr;
    const auto* argmax_all = context.at<uint8_t>(op_.argmax);
    float* dx_all = context.at<float>(op_.dx);
    each_sample(op_, context, [&](uint32_t sample, uint32_t thread) {
      float* dx = row(dx_all, sample, x_elements);
      float* dz = op_.has_pool ? context.scratch<float>() + thread * (row_bytes() / sizeof(float)) : dx;
      activation_(row(dy_all, sample, y_elements), row(y_all, sample, y_elements),
                  row(mask_all, sample, mask_row_bytes(y_elements)), y_elements, op_.has_relu, scale, dz);
      if (!op_.has_pool) return;
      const uint8_t* argmax = row(argmax_all, sample, y_elements);
      std::memset(dx, 0, x_elements * sizeof(float));
      each_window(op_, [&](const WindowPlaces& places, uint64_t element) {
        pool_(dz + element, argmax + element, places, op_.x_extent.channels, dx);
      });
    });
  }

 private:
  uint64_t row_bytes() const { return align_up(op_.y_extent.elements() * sizeof(float), tensor_alignment); }

  Op op_;
  uint64_t threads_;
  PoolBackward* pool_;
  ActivationBackward* activation_;
};

bool pool_supported(const Op& op) {
  if (!op.has_pool || op.pool.kernel <= most_pool_kernel) return true;
  (void)fail(Status::unsupported, "%s: max-pool windows up to %ux%u are supported, not %ux%u", op.layer.c_str(),
             most_pool_kernel, most_pool_kernel, op.pool.kernel, op.pool.kernel);
  return false;
}

}  // namespace

std::unique_ptr<Kernel> make_activation(const Program&, const KernelRequest& request, Target target) {
  if (!pool_supported(*request.op)) return nullptr;
  return std::make_unique<ActivationKernel>(*request.op, target);
}

std::unique_ptr<Kernel> make_activation_backward(const Program&, const KernelRequest& request, Target target) {
  if (!pool_supported(*request.op)) return nullptr;
  return std::make_unique<ActivationBackwardKernel>(*request.op, request.threads, target);
}

}  // namespace lt::cpu::highway
#endif
