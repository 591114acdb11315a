// Softmax and cross-entropy: the losses and gradients of the samples on the pool's threads, a sample a lane, then the
// batch's statistics in the order of the samples. Scratch holds the loss and the largest logit's index of each sample.
#include <algorithm>
#include <cmath>

#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/named_kernel.h"
#include "src/base/bf16.h"
#include "src/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/highway/softmax.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#ifndef LT_HIGHWAY_SOFTMAX_ONCE
#define LT_HIGHWAY_SOFTMAX_ONCE
namespace lt::cpu::highway {

// Some samples in a row. largest: the first of the largest logits.
struct SoftmaxRows {
  const float* x;
  const int32_t* labels;
  uint64_t classes;
  uint32_t samples;
  float weight;  // of a sample in the mean
  float* loss;
  int32_t* largest;
  float* dx;  // null: no gradient asked for, or the next one's
  Bf16* bf16_dx;
};
using SoftmaxFunction = void(const SoftmaxRows& rows);

}  // namespace lt::cpu::highway
#endif

HWY_BEFORE_NAMESPACE();
namespace lt::cpu::highway {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;

// Exp makes 0 of a NaN, which has to reach the loss.
HWY_INLINE hn::Vec<F32> exp_of(F32 d, hn::Vec<F32> v) { return hn::IfThenElse(hn::IsNaN(v), v, hn::Exp(d, v)); }

void softmax_lanes(const SoftmaxRows& rows) {
  const F32 d;
  const hn::RebindToSigned<F32> d32;
  constexpr size_t most_lanes = hn::MaxLanes(F32());
  const auto samples = static_cast<int32_t>(rows.samples);
  HWY_ALIGN int32_t label[most_lanes];
  HWY_ALIGN float part[most_lanes];
  HWY_ALIGN int32_t part_index[most_lanes];
  // Lanes past the last sample repeat it.
  for (size_t i = 0; i < hn::Lanes(d); ++i) label[i] = rows.labels[std::min<size_t>(i, rows.samples - 1)];
  const auto labels = hn::Load(d32, label);
  const auto lane = hn::Min(hn::Iota(d32, 0), hn::Set(d32, samples - 1));
  const auto index = hn::Mul(lane, hn::Set(d32, static_cast<int32_t>(rows.classes)));

  auto top = hn::GatherIndex(d, rows.x, index);
  auto top_at = hn::Zero(d32);
  for (uint64_t c = 1; c < rows.classes; ++c) {
    const auto v = hn::GatherIndex(d, rows.x + c, index);
    const auto larger = hn::Gt(v, top);
    top = hn::IfThenElse(larger, v, top);
    top_at = hn::IfThenElse(hn::RebindMask(d32, larger), hn::Set(d32, static_cast<int32_t>(c)), top_at);
  }
  // The sum over the classes is 1, for the largest, and the rest: a loss far below 1 keeps all its digits in log(1 + rest).
  auto rest = hn::Sub(top, top), label_logit = top;  // 0, or NaN where the largest is infinite
  for (uint64_t c = 0; c < rows.classes; ++c) {
    const auto at = hn::Set(d32, static_cast<int32_t>(c));
    const auto v = hn::GatherIndex(d, rows.x + c, index);
    rest = hn::Add(rest, hn::IfThenZeroElse(hn::RebindMask(d, hn::Eq(at, top_at)), exp_of(d, hn::Sub(v, top))));
    label_logit = hn::IfThenElse(hn::RebindMask(d, hn::Eq(at, labels)), v, label_logit);
  }
  const auto log_sum = hn::IfThenElse(hn::IsNaN(rest), rest, hn::Log1p(d, rest));
  hn::Store(hn::Add(log_sum, hn::Sub(top, label_logit)), d, part);
  hn::Store(top_at, d32, part_index);
  std::copy(part, part + samples, rows.loss);
  std::copy(part_index, part_index + samples, rows.largest);
  if (rows.dx == nullptr && rows.bf16_dx == nullptr) return;

  const auto weight = hn::Set(d, rows.weight);
  const auto factor = hn::Div(weight, hn::Add(hn::Set(d, 1.0f), rest));
  const auto top_is_label = hn::Neg(hn::Mul(rest, factor));  // softmax - 1, without cancellation
  for (uint64_t c = 0; c < rows.classes; ++c) {
    const auto at = hn::Set(d32, static_cast<int32_t>(c));
    const auto softmax = hn::Mul(exp_of(d, hn::Sub(hn::GatherIndex(d, rows.x + c, index), top)), factor);
    const auto is_top = hn::RebindMask(d, hn::Eq(at, top_at)), is_label = hn::RebindMask(d, hn::Eq(at, labels));
    const auto at_label = hn::IfThenElse(is_top, top_is_label, hn::Sub(softmax, weight));
    hn::Store(hn::IfThenElse(is_label, at_label, softmax), d, part);
    for (uint64_t i = 0; i < rows.samples; ++i) {
      if (rows.dx != nullptr)
        rows.dx[i * rows.classes + c] = part[i];
      else
        rows.bf16_dx[i * rows.classes + c] = to_bf16(part[i]);
    }
  }
}

void Softmax(const SoftmaxRows& rows) {
  const auto lanes = static_cast<uint32_t>(hn::Lanes(F32()));
  for (uint32_t s = 0; s < rows.samples; s += lanes) {
    SoftmaxRows part = rows;
    part.samples = std::min(lanes, rows.samples - s);
    part.x += s * rows.classes;
    part.labels += s;
    part.loss += s;
    part.largest += s;
    if (part.dx != nullptr) part.dx += s * rows.classes;
    if (part.bf16_dx != nullptr) part.bf16_dx += s * rows.classes;
    softmax_lanes(part);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lt::cpu::highway
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lt::cpu::highway {

LT_HIGHWAY_TABLE(SoftmaxFunction*, softmax_table, Softmax);

namespace {

constexpr uint32_t block_samples = 64;
constexpr uint64_t most_classes = 1u << 24;  // offsets within the samples of a vector are 32-bit

class SoftmaxKernel final : public NamedKernel {
 public:
  SoftmaxKernel(const Op& op, uint32_t micro_batch, Target target)
      : NamedKernel("softmax", target), op_(op), micro_batch_(micro_batch), function_(for_target(softmax_table, target)) {}

  uint64_t scratch_bytes() const override { return 2 * column_bytes(); }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    if (arguments.labels == nullptr) return;
    const uint64_t classes = op_.x_extent.elements();
    const uint32_t samples = arguments.samples;
    const float* x = context.at<float>(op_.x);
    const bool wants_dx = arguments.training && op_.dx != no_tensor;
    const bool narrow = wants_dx && context.program->tensors[op_.dx].dtype == DType::bf16;
    float* dx = wants_dx && !narrow ? context.at<float>(op_.dx) : nullptr;
    Bf16* bf16_dx = narrow ? context.at<Bf16>(op_.dx) : nullptr;
    auto* loss = context.scratch<float>();
    auto* largest = reinterpret_cast<int32_t*>(context.scratch<std::byte>() + column_bytes());
    const float weight = static_cast<float>(1.0 / arguments.batch_samples);
    context.pool->run(static_cast<uint32_t>(divide_up(samples, block_samples)), [&](uint32_t block, uint32_t) {
      const uint32_t s = block * block_samples;
      function_({x + s * classes, arguments.labels + s, classes, std::min(block_samples, samples - s), weight, loss + s,
                 largest + s, dx == nullptr ? nullptr : dx + s * classes,
                 bf16_dx == nullptr ? nullptr : bf16_dx + s * classes});
    });

    auto* statistics = context.at<Statistics>(op_.statistics);
    Statistics sums = arguments.accumulate ? *statistics : Statistics{};
    for (uint32_t s = 0; s < samples; ++s) {
      sums.loss_sum += static_cast<double>(loss[s]);
      sums.correct += largest[s] == arguments.labels[s];
      sums.non_finite += !std::isfinite(loss[s]);
    }
    *statistics = sums;
  }

 private:
  uint64_t column_bytes() const { return align_up(micro_batch_ * sizeof(float), tensor_alignment); }

  Op op_;
  uint64_t micro_batch_;
  SoftmaxFunction* function_;
};

}  // namespace

std::unique_ptr<Kernel> make_softmax_cross_entropy(const Program&, const KernelRequest& request, Target target) {
  if (request.op->x_extent.elements() > most_classes) {
    (void)fail(Status::unsupported, "%s: %llu classes, %llu are the most", request.op->layer.c_str(),
               static_cast<unsigned long long>(request.op->x_extent.elements()),
               static_cast<unsigned long long>(most_classes));
    return nullptr;
  }
  return std::make_unique<SoftmaxKernel>(*request.op, request.micro_batch, target);
}

}  // namespace lt::cpu::highway
#endif
