#include "backends/cpu/highway/conv2d.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "backends/cpu/highway/conv2d_backward.h"
#include "backends/cpu/highway/conv2d_forward.h"
#include "backends/cpu/highway/conv2d_op.h"
#include "backends/cpu/highway/conv2d_pointwise.h"
#include "backends/cpu/highway/conv2d_residual.h"
#include "backends/cpu/highway/conv2d_shape.h"
#include "backends/cpu/highway/conv2d_weights.h"
#include "backends/cpu/highway/conv2d_winograd_op.h"
#include "backends/cpu/highway/winograd_shape.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {

namespace {

class Conv2d final : public Conv2dOp {
 public:
  Conv2d(const Program& program, const KernelRequest& request, const Conv2dShape& shape, Target target)
      : Conv2dOp(request, shape, target),
        keeps_(keeps_weights(program, request)),
        pack_(for_target(conv2d_pack_table, target)),
        forward_(for_target(conv2d_forward_table, target)),
        pack_blocks_(for_target(conv2d_pack_blocks_table, target)(shape)),
        packed_floats_(align_floats(for_target(conv2d_packed_floats_table, target)(shape))),
        thread_floats_(align_floats(conv2d_scratch_floats(shape))) {
    std::snprintf(name_, sizeof name_, "highway conv2d %s", target_name(target));
  }

  void take_weights(const KernelContext& context) override {
    if (keeps_) pack(context, context.at<float>(op_.saved));
  }

  void run(const KernelContext& context) override {
    float* const scratch = context.scratch<float>();
    float* const packed = keeps_ ? context.at<float>(op_.saved) : scratch + threads_ * thread_floats_;
    if (!keeps_) pack(context, packed);
    context.pool->run(context.arguments->samples, [&](uint32_t sample, uint32_t thread) {
      forward_(shape_, x(context, sample), packed, relu(*context.arguments), scratch + thread * thread_floats_,
               y(context, sample), argmax(context, sample));
      drop(context, sample);
    });
  }

  uint64_t scratch_bytes() const override {
    return ((keeps_ ? 0 : packed_floats_) + threads_ * thread_floats_) * sizeof(float);
  }
  uint64_t saved_bytes() const override { return keeps_ ? packed_floats_ * sizeof(float) : 0; }

 private:
  void pack(const KernelContext& context, float* packed) const {
    const float* const weight = context.at<float>(op_.weight);
    context.pool->run(pack_blocks_, [&](uint32_t block, uint32_t) { pack_(shape_, weight, bias(context), block, packed); });
  }

  const bool keeps_;
  Conv2dPack* const pack_;
  Conv2dForward* const forward_;
  const uint32_t pack_blocks_;
  const uint64_t packed_floats_, thread_floats_;
};

// Partial sums of the weights' gradients: a fixed number, so that the order of the sums does not depend on the threads.
// Few where they are large: beyond this much they would not stay in the caches anyway.
constexpr uint64_t most_parts = 8, most_frugal_parts = 2, parts_bytes = uint64_t{16} << 20;

class Conv2dBackward final : public Kernel {
 public:
  Conv2dBackward(const KernelRequest& request, const Conv2dShape& shape, Target target)
      : op_(*request.op),
        shape_(shape),
        layout_(for_target(conv2d_backward_plan_table, target)(shape, request.op->dx != no_tensor)),
        pack_(for_target(conv2d_pack_rows_table, target)),
        start_(for_target(conv2d_backward_start_table, target)),
        sample_(for_target(conv2d_backward_sample_table, target)),
        reduce_(for_target(conv2d_reduce_table, target)),
        activation_(for_target(activation_backward_table, target)),
        part_floats_(layout_.weight_floats + align_floats(shape.out_channels)),
        thread_floats_(align_floats(layout_.scratch_floats)),
        parts_(static_cast<uint32_t>(std::clamp<uint64_t>(parts_bytes / (part_floats_ * sizeof(float)), 2,
                                                          request.frugal ? most_frugal_parts : most_parts))),
        threads_(request.threads) {
    std::snprintf(name_, sizeof name_, "highway conv2d_backward %s", target_name(target));
    const uint32_t row_floats = shape.padded_width() * shape.in_channels;
    // Modulo 2^32: a window that starts in the pool's padding starts before the input, its winners do not.
    const auto place = [&](uint32_t row, uint32_t column) {
      return row * shape.stride * row_floats + column * shape.stride * shape.in_channels;
    };
    for (uint32_t row = 0; row < shape.y_height; ++row)
      for (uint32_t column = 0; column < shape.y_width; ++column)
        places_.push_back(
            place(row * shape.pool_stride - shape.pool_padding, column * shape.pool_stride - shape.pool_padding));
    for (uint32_t row = 0; row < shape.pool_kernel; ++row)
      for (uint32_t column = 0; column < shape.pool_kernel; ++column) subplaces_.push_back(place(row, column));
    subplaces_.resize(256);  // whatever a byte says stays inside
  }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    const float *x = context.at<float>(op_.x), *y = context.at<float>(op_.y), *dy = context.at<float>(op_.dy);
    const uint8_t *argmax = op_.has_pool ? context.at<uint8_t>(op_.argmax) : nullptr, *mask = context.at<uint8_t>(op_.mask);
    float *dx = context.at<float>(op_.dx), *dbias = op_.has_bias ? context.at<float>(op_.dbias) : nullptr;
    const float scale = op_.dropout > 0 && arguments.dropout ? 1 / (1 - op_.dropout) : 1.0f;
    float* const parts = context.scratch<float>();
    float* const packed = parts + parts_ * part_floats_;
    float* const scratch = packed + (dx != nullptr ? layout_.weight_floats : 0);
    if (dx != nullptr) {
      const float* weight = context.at<float>(op_.weight);
      context.pool->run(shape_.kernel, [&](uint32_t row, uint32_t) { pack_(shape_, layout_, weight, row, packed); });
    }
    const uint32_t share = static_cast<uint32_t>(divide_up(arguments.samples, parts_));
    const uint32_t used_parts = static_cast<uint32_t>(divide_up(arguments.samples, share));
    context.pool->run(used_parts, [&](uint32_t part, uint32_t thread) {
      float* const own = scratch + thread * thread_floats_;
      float* const dweight = parts + part * part_floats_;
      const Conv2dBackwardTask task{
          &shape_, &layout_, places_.data(), subplaces_.data(), packed, dweight, dweight + layout_.weight_floats};
      start_(task, own);
      for (uint64_t sample = uint64_t{part} * share;
           sample < std::min<uint64_t>(arguments.samples, uint64_t{part + 1} * share); ++sample) {
        const uint64_t at = sample * shape_.y_elements();
        activation_(dy + at, y != nullptr ? y + at : nullptr,
                    op_.dropout > 0 ? mask + sample * mask_row_bytes(shape_.y_elements()) : nullptr, shape_.y_elements(),
                    op_.has_relu, scale, own + layout_.dz);
        sample_(task, x + sample * shape_.x_elements(), argmax != nullptr ? argmax + at : nullptr, own,
                dx != nullptr ? dx + sample * shape_.x_elements() : nullptr);
      }
    });
    float* const dweight = context.at<float>(op_.dweight);
    if (dweight != nullptr)
      context.pool->run(shape_.kernel, [&](uint32_t row, uint32_t) {
        reduce_(shape_, layout_, parts, part_floats_, used_parts, row, arguments.accumulate, dweight);
      });
    if (dbias != nullptr)
      for (uint32_t channel = 0; channel < shape_.out_channels; ++channel) {
        float sum = arguments.accumulate ? dbias[channel] : 0;
        for (uint32_t part = 0; part < used_parts; ++part)
          sum += parts[part * part_floats_ + layout_.weight_floats + channel];
        dbias[channel] = sum;
      }
  }

  uint64_t scratch_bytes() const override {
    return (parts_ * part_floats_ + (op_.dx != no_tensor ? layout_.weight_floats : 0) + threads_ * thread_floats_) *
           sizeof(float);
  }
  const char* name() const override { return name_; }

 private:
  const Op op_;
  const Conv2dShape shape_;
  const Conv2dBackwardLayout layout_;
  Conv2dPackRows* const pack_;
  Conv2dBackwardStart* const start_;
  Conv2dBackwardSample* const sample_;
  Conv2dReduce* const reduce_;
  ActivationBackward* const activation_;
  const uint64_t part_floats_, thread_floats_;
  const uint32_t parts_, threads_;
  std::vector<uint32_t> places_, subplaces_;
  char name_[48];
};

// A first layer without a pool: dweight and dbias from all of the gradients.
class Conv2dWeights final : public Kernel {
 public:
  Conv2dWeights(const KernelRequest& request, const Conv2dShape& shape, Target target)
      : op_(*request.op),
        shape_(shape),
        layout_(for_target(conv2d_weights_plan_table, target)(shape)),
        start_(for_target(conv2d_weights_start_table, target)),
        sample_(for_target(conv2d_weights_sample_table, target)),
        rows_(for_target(conv2d_weights_rows_table, target)),
        reduce_(for_target(conv2d_weights_reduce_table, target)),
        bias_sum_(for_target(conv2d_bias_sum_table, target)),
        activation_(for_target(activation_backward_table, target)),
        threads_(request.threads) {
    std::snprintf(name_, sizeof name_, "highway conv2d_backward weights %s", target_name(target));
  }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    const float *x = context.at<float>(op_.x), *y = context.at<float>(op_.y), *dy = context.at<float>(op_.dy);
    const uint8_t* const mask = op_.dropout > 0 ? context.at<uint8_t>(op_.mask) : nullptr;
    const float scale = mask != nullptr && arguments.dropout ? 1 / (1 - op_.dropout) : 1.0f;
    const uint64_t elements = shape_.y_elements(), row_elements = uint64_t{shape_.conv_width} * shape_.out_channels;
    float* const parts = context.scratch<float>();
    const uint32_t share = static_cast<uint32_t>(divide_up(arguments.samples, most_weight_parts));
    const uint32_t used_parts = static_cast<uint32_t>(divide_up(arguments.samples, share));
    context.pool->run(used_parts, [&](uint32_t part, uint32_t thread) {
      float* const own = parts + most_weight_parts * layout_.part_floats + thread * layout_.scratch_floats;
      float* const sums = parts + part * layout_.part_floats;
      std::fill_n(sums + layout_.bias, shape_.out_channels, 0.0f);
      start_(shape_, layout_, own);
      for (uint32_t first = part * share, sample = first; sample < std::min(first + share, arguments.samples); ++sample) {
        const uint64_t at = sample * elements;
        const uint8_t* const mask_row = mask != nullptr ? mask + sample * mask_row_bytes(elements) : nullptr;
        sample_(shape_, layout_, x + sample * shape_.x_elements(), own);
        for (uint32_t row = 0; row < shape_.conv_height; row += layout_.rows) {
          const uint32_t end = std::min(row + layout_.rows, shape_.conv_height);
          const uint64_t begin = row * row_elements, count = (end - row) * row_elements;
          activation_(dy + at + begin, y != nullptr ? y + at + begin : nullptr,
                      mask_row != nullptr ? mask_row + begin / 8 : nullptr, count, op_.has_relu, scale, own + layout_.dz);
          bias_sum_(own + layout_.dz, count / shape_.out_channels, shape_.out_channels, sums + layout_.bias);
          FetchAhead ahead;
          const auto fetch = [&](const float* from) {
            if (from != nullptr)
              ahead.add(from + at + begin + count, row_elements, layout_.rows, 0, 0, 0, static_cast<int32_t>(layout_.rows));
          };
          fetch(dy);
          if (mask == nullptr && op_.has_relu) fetch(y);
          rows_(shape_, layout_, row, end, row != 0 || sample != first, ahead, own, sums);
        }
      }
    });
    float* const dweight = context.at<float>(op_.dweight);
    if (dweight != nullptr)
      context.pool->run(shape_.kernel, [&](uint32_t row, uint32_t) {
        reduce_(shape_, layout_, parts, used_parts, row, arguments.accumulate, dweight);
      });
    float* const dbias = op_.has_bias ? context.at<float>(op_.dbias) : nullptr;
    if (dbias == nullptr) return;
    for (uint32_t channel = 0; channel < shape_.out_channels; ++channel) {
      float sum = arguments.accumulate ? dbias[channel] : 0;
      for (uint32_t part = 0; part < used_parts; ++part) sum += parts[part * layout_.part_floats + layout_.bias + channel];
      dbias[channel] = sum;
    }
  }
  uint64_t scratch_bytes() const override {
    return (most_weight_parts * layout_.part_floats + threads_ * layout_.scratch_floats) * sizeof(float);
  }
  const char* name() const override { return name_; }

 private:
  // A fixed number, for the order of the sums; small, as there are few input channels.
  static constexpr uint32_t most_weight_parts = 16;
  const Op op_;
  const Conv2dShape shape_;
  const Conv2dWeightsLayout layout_;
  Conv2dWeightsStart* const start_;
  Conv2dWeightsSample* const sample_;
  Conv2dWeightsRows* const rows_;
  Conv2dWeightsReduce* const reduce_;
  Conv2dBiasSum* const bias_sum_;
  ActivationBackward* const activation_;
  const uint32_t threads_;
  char name_[48];
};

// Behind a pool, most gradients are zero; with many input channels the parts' sums are large.
bool weights_serve(const Conv2dShape& s, const Op& op) { return !s.has_pool && op.dx == no_tensor && s.in_channels < 16; }

// In inference the transformed weights, four times as many as there were, are to be worth their memory and their way from
// it. Training's batches are large, and its weights are transformed anew each time.
bool winograd_pays(const Program& program, const KernelRequest& request, const Conv2dShape& shape) {
  constexpr uint64_t enough_tiles = 64;
  return !program.inference || uint64_t{winograd_forward_shape(shape).tiles()} * request.micro_batch >= enough_tiles;
}

// Checks what both directions need; false with a sentence where there is no code.
bool shape_of(const Program& program, const KernelRequest& request, Target target, Conv2dShape* shape) {
  if (!target_supported(target)) {
    (void)fail(Status::unsupported, "highway conv2d: this processor or build has no %s", target_name(target));
    return false;
  }
  if (program.weight_layout != WeightLayout::in_out) {
    (void)fail(Status::unsupported, "%s: highway conv2d takes weights laid out as in_out", request.op->layer.c_str());
    return false;
  }
  return ok(conv2d_shape(*request.op, shape));
}

}  // namespace

std::unique_ptr<Kernel> make_conv2d(const Program& program, const KernelRequest& request, Target target) {
  Conv2dShape shape;
  if (!shape_of(program, request, target, &shape)) return nullptr;
  const bool pointwise = pointwise_serves(*request.op);
  if (pointwise) return make_conv2d_pointwise(program, request, shape, target);
  if (request.op->residual != no_tensor) return make_conv2d_residual(program, request, target);
  if (winograd_serves_forward(shape) && winograd_pays(program, request, shape))
    return make_conv2d_winograd(program, request, shape, target);
  return std::make_unique<Conv2d>(program, request, shape, target);
}

std::unique_ptr<Kernel> make_conv2d_backward(const Program& program, const KernelRequest& request, Target target) {
  Conv2dShape shape;
  if (!shape_of(program, request, target, &shape)) return nullptr;
  if (winograd_serves_backward(shape, target)) return make_conv2d_winograd_backward(request, shape, target);
  if (weights_serve(shape, *request.op)) return std::make_unique<Conv2dWeights>(request, shape, target);
  return std::make_unique<Conv2dBackward>(request, shape, target);
}

}  // namespace lt::cpu::highway
