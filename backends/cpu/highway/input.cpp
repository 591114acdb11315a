// The first op: raw samples, planar [channel][row][column] bytes or floats, to normalised floats, or bfloat16, with the
// channels last; sequences, [sample][time][feature], with time in front.
// Kernel and functions work on tensors of the region alone; samples, or time steps, are split over the pool.
#include <algorithm>

#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/named_kernel.h"
#include "src/base/bf16.h"
#include "src/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/input.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/highway/bf16_inl.h"

#ifndef LT_HIGHWAY_INPUT_ONCE
#define LT_HIGHWAY_INPUT_ONCE
namespace lt::cpu::highway {

// y = x * factor + term, a pair a channel.
struct Normalisation {
  const float* factor;
  const float* term;
};

// One sample of `pixels` pixels. bytes: x is of uint8_t, else of float. narrow: y is of Bf16, else of float.
using InputFunction = void(const void* x, bool bytes, uint64_t pixels, uint32_t channels,
                           const Normalisation& normalisation, void* y, bool narrow);

}  // namespace lt::cpu::highway
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {

using F32 = hn::ScalableTag<float>;

HWY_INLINE hn::Vec<F32> load_raw(F32 d, const float* x) { return hn::LoadU(d, x); }
HWY_INLINE hn::Vec<F32> load_raw(F32 d, const uint8_t* x) {
  const hn::Rebind<uint8_t, F32> d8;
  const hn::RebindToSigned<F32> d32;
  return hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(d8, x)));
}

HWY_INLINE void store_number(float value, float* y) { *y = value; }
HWY_INLINE void store_number(float value, Bf16* y) { *y = to_bf16(value); }
HWY_INLINE void store_vector(F32 d, hn::Vec<F32> value, float* y) { hn::StoreU(value, d, y); }
HWY_INLINE void store_vector(F32 d, hn::Vec<F32> value, Bf16* y) { store_bf16(d, value, y); }

#if HWY_TARGET != HWY_SCALAR
using V = hn::Vec<F32>;
HWY_INLINE void store_three(F32 d, V v0, V v1, V v2, float* y) { hn::StoreInterleaved3(v0, v1, v2, d, y); }
HWY_INLINE void store_three(F32 d, V v0, V v1, V v2, Bf16* y) {
  HWY_ALIGN float row[3 * hn::MaxLanes(F32())];
  hn::StoreInterleaved3(v0, v1, v2, d, row);
  for (size_t i = 0; i < 3; ++i) store_bf16(d, hn::Load(d, row + i * hn::Lanes(d)), y + i * hn::Lanes(d));
}
#endif

// Vectors of pixels for one channel and for three, of channels for one pixel; anything else, and what the vectors leave
// over, one by one.
template <class T, class Y>
void input_rows(const T* x, uint64_t pixels, uint32_t channels, const Normalisation& normalisation, Y* y) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  const float* factor = normalisation.factor;
  const float* term = normalisation.term;
  uint64_t done = 0;
  if (channels == 1) {
    const auto a = hn::Set(d, factor[0]), b = hn::Set(d, term[0]);
    for (; done + lanes <= pixels; done += lanes) store_vector(d, hn::MulAdd(load_raw(d, x + done), a, b), y + done);
  }
#if HWY_TARGET != HWY_SCALAR
  if (channels == 3) {
    const auto a0 = hn::Set(d, factor[0]), a1 = hn::Set(d, factor[1]), a2 = hn::Set(d, factor[2]);
    const auto b0 = hn::Set(d, term[0]), b1 = hn::Set(d, term[1]), b2 = hn::Set(d, term[2]);
    for (; done + lanes <= pixels; done += lanes) {
      const auto v0 = hn::MulAdd(load_raw(d, x + done), a0, b0);
      const auto v1 = hn::MulAdd(load_raw(d, x + pixels + done), a1, b1);
      const auto v2 = hn::MulAdd(load_raw(d, x + 2 * pixels + done), a2, b2);
      store_three(d, v0, v1, v2, y + 3 * done);
    }
  }
#endif
  uint64_t first = 0;  // channel
  if (pixels == 1)
    for (; first + lanes <= channels; first += lanes)
      store_vector(d, hn::MulAdd(load_raw(d, x + first), hn::LoadU(d, factor + first), hn::LoadU(d, term + first)),
                   y + first);
  for (uint64_t pixel = done; pixel < pixels; ++pixel)
    for (uint64_t c = first; c < channels; ++c)
      store_number(static_cast<float>(x[c * pixels + pixel]) * factor[c] + term[c], y + pixel * channels + c);
}

template <class T>
void input_rows(const T* x, uint64_t pixels, uint32_t channels, const Normalisation& normalisation, void* y, bool narrow) {
  if (narrow)
    input_rows(x, pixels, channels, normalisation, static_cast<Bf16*>(y));
  else
    input_rows(x, pixels, channels, normalisation, static_cast<float*>(y));
}

void Input(const void* x, bool bytes, uint64_t pixels, uint32_t channels, const Normalisation& normalisation, void* y,
           bool narrow) {
  if (bytes)
    input_rows(static_cast<const uint8_t*>(x), pixels, channels, normalisation, y, narrow);
  else
    input_rows(static_cast<const float*>(x), pixels, channels, normalisation, y, narrow);
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {

LT_HIGHWAY_TABLE(InputFunction*, input_table, Input);

namespace {

constexpr uint64_t block_elements = 16384;  // per block of work, at least: some microseconds

class InputKernel final : public NamedKernel {
 public:
  InputKernel(const Op& op, Target target)
      : NamedKernel("input", target), op_(op), function_(for_target(input_table, target)) {
    for (uint32_t c = 0; c < op.x_extent.channels; ++c) {
      const double mean = op.mean.empty() ? 0 : static_cast<double>(op.mean[c]);
      const double deviation = op.deviation.empty() ? 1 : static_cast<double>(op.deviation[c]);
      factor_.push_back(static_cast<float>(static_cast<double>(op.scale) / deviation));
      term_.push_back(static_cast<float>(-mean / deviation));
    }
  }

  void run(const KernelContext& context) override {
    const uint64_t elements = op_.x_extent.elements(), pixels = elements / op_.x_extent.channels;
    const uint64_t sample_bytes = elements * dtype_bytes(op_.x_dtype);
    const auto* x = static_cast<const std::byte*>(context.arguments->x);
    const DType y_type = context.program->tensors[op_.y].dtype;
    auto* y = context.at<std::byte>(op_.y);
    const uint64_t samples = context.arguments->samples, block_samples = divide_up(block_elements, elements);
    const Normalisation normalisation{factor_.data(), term_.data()};
    if (const uint64_t steps = context.program->tensors[op_.y].time_steps; steps != 0) {
      const uint64_t features = op_.x_extent.channels, row_bytes = features * dtype_bytes(op_.x_dtype);
      const uint64_t block_steps = divide_up(block_elements, samples * features);
      context.pool->run(static_cast<uint32_t>(divide_up(steps, block_steps)), [&](uint32_t block, uint32_t) {
        for (uint64_t t = block * block_steps; t < std::min(steps, (block + 1) * block_steps); ++t)
          for (uint64_t s = 0; s < samples; ++s)
            function_(x + s * sample_bytes + t * row_bytes, op_.x_dtype == DType::u8, 1, op_.x_extent.channels,
                      normalisation, y + (t * samples + s) * features * dtype_bytes(y_type), y_type == DType::bf16);
      });
      return;
    }
    context.pool->run(static_cast<uint32_t>(divide_up(samples, block_samples)), [&](uint32_t block, uint32_t) {
      for (uint64_t s = block * block_samples; s < std::min(samples, (block + 1) * block_samples); ++s)
        function_(x + s * sample_bytes, op_.x_dtype == DType::u8, pixels, op_.x_extent.channels, normalisation,
                  y + s * elements * dtype_bytes(y_type), y_type == DType::bf16);
    });
  }

 private:
  Op op_;
  InputFunction* function_;
  std::vector<float> factor_, term_;
};

// Words, [sample][time], to [time][sample].
class WordInputKernel final : public NamedKernel {
 public:
  WordInputKernel(const Op& op, Target target) : NamedKernel("word input", target), op_(op) {}

  void run(const KernelContext& context) override {
    const uint64_t steps = op_.x_extent.height, samples = context.arguments->samples;
    const auto* const x = static_cast<const int32_t*>(context.arguments->x);
    auto* const y = context.at<int32_t>(op_.y);
    for (uint64_t sample = 0; sample < samples; ++sample)
      for (uint64_t t = 0; t < steps; ++t) y[t * samples + sample] = x[sample * steps + t];
  }

 private:
  const Op op_;
};

}  // namespace

std::unique_ptr<Kernel> make_input(const Program&, const KernelRequest& request, Target target) {
  const Op& op = *request.op;
  if (op.x_dtype == DType::i32) return std::make_unique<WordInputKernel>(op, target);
  if (op.x_dtype != DType::u8 && op.x_dtype != DType::f32) {
    (void)fail(Status::unsupported, "%s: samples of bytes, floats or words can be read, no others", op.layer.c_str());
    return nullptr;
  }
  return std::make_unique<InputKernel>(op, target);
}

}  // namespace lt::cpu::highway
#endif
