#include "backends/cpu/highway/conv2d_winograd_op.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "backends/cpu/highway/conv2d_op.h"
#include "backends/cpu/highway/conv2d_weights.h"
#include "backends/cpu/highway/conv2d_winograd.h"
#include "backends/cpu/highway/conv2d_winograd_weights.h"

namespace lt::cpu::highway {

namespace {

// The weights' way from the second cache is shared by a block's samples; a few samples are spread over the threads instead.
// No output depends on which others share its block.
uint32_t samples_of_block(uint32_t samples) { return samples >= 32 ? 4 : 1; }

// One direction of the products: its packed weights and the threads' scratch lie behind one another.
class WinogradPass {
 public:
  WinogradPass(const WinogradShape& shape, uint32_t threads, Target target)
      : shape_(shape),
        pack_(for_target(winograd_pack_table, target)),
        convolve_(for_target(winograd_convolve_table, target)),
        layout_(for_target(winograd_plan_table, target)(shape)),
        thread_floats_(align_floats(layout_.scratch_floats)),
        weight_floats_(align_floats(layout_.weight_floats)),
        threads_(threads) {}

  // tensors: those of the first sample, `packed` left out. finish(first sample, count): called when a block's y is written.
  template <class Finish>
  void run(ThreadPool* pool, const float* weight, const float* bias, WinogradTensors tensors, uint32_t samples,
           float* scratch, const Finish& finish) const {
    pack(pool, weight, bias, scratch);
    tensors.packed = scratch;
    convolve(pool, tensors, samples, scratch + weight_floats_, finish);
  }
  // The same with weights that are packed already; scratch: the threads'.
  template <class Finish>
  void convolve(ThreadPool* pool, const WinogradTensors& tensors, uint32_t samples, float* scratch,
                const Finish& finish) const {
    const uint32_t each = samples_of_block(samples);
    pool->run(static_cast<uint32_t>(divide_up(samples, each)), [&](uint32_t block, uint32_t thread) {
      const uint32_t first = block * each, count = std::min(each, samples - first);
      convolve_(shape_, layout_, from_sample(tensors, first), count, scratch + thread * thread_floats_);
      finish(first, count);
    });
  }
  void pack(ThreadPool* pool, const float* weight, const float* bias, float* packed) const {
    pool->run(shape_.in_channels,
              [&](uint32_t channel, uint32_t) { pack_(shape_, layout_, weight, bias, channel, packed); });
  }
  WinogradTensors from_sample(WinogradTensors tensors, uint32_t sample) const {
    tensors.x += sample * shape_.x_elements();
    if (tensors.winners != nullptr) tensors.winners += sample * shape_.x_elements();
    tensors.y += sample * shape_.y_elements();
    if (tensors.argmax != nullptr) tensors.argmax += sample * shape_.y_elements();
    return tensors;
  }
  const WinogradShape& shape() const { return shape_; }
  const WinogradLayout& layout() const { return layout_; }
  uint64_t weight_floats() const { return weight_floats_; }
  uint64_t scratch_floats() const { return weight_floats_ + threads_ * thread_floats_; }

 private:
  const WinogradShape shape_;
  WinogradPack* const pack_;
  WinogradConvolve* const convolve_;
  const WinogradLayout layout_;
  const uint64_t thread_floats_, weight_floats_;
  const uint32_t threads_;
};

class Conv2dWinograd final : public Conv2dOp {
 public:
  Conv2dWinograd(const Program& program, const KernelRequest& request, const Conv2dShape& shape, Target target)
      : Conv2dOp(request, shape, target),
        keeps_(keeps_weights(program, request)),
        pass_(winograd_forward_shape(shape), request.threads, target) {
    std::snprintf(name_, sizeof name_, "highway conv2d winograd %s", target_name(target));
  }

  void take_weights(const KernelContext& context) override {
    if (keeps_) pass_.pack(context.pool, context.at<float>(op_.weight), bias(context), context.at<float>(op_.saved));
  }

  void run(const KernelContext& context) override {
    WinogradTensors tensors{x(context, 0), nullptr, nullptr, y(context, 0), argmax(context, 0), relu(*context.arguments)};
    const uint32_t samples = context.arguments->samples;
    const auto finish = [&](uint32_t first, uint32_t count) {
      for (uint32_t sample = first; sample < first + count; ++sample) drop(context, sample);
    };
    if (!keeps_) {
      pass_.run(context.pool, context.at<float>(op_.weight), bias(context), tensors, samples, context.scratch<float>(),
                finish);
      return;
    }
    tensors.packed = context.at<float>(op_.saved);
    pass_.convolve(context.pool, tensors, samples, context.scratch<float>(), finish);
  }
  uint64_t scratch_bytes() const override {
    return (pass_.scratch_floats() - (keeps_ ? pass_.weight_floats() : 0)) * sizeof(float);
  }
  uint64_t saved_bytes() const override { return keeps_ ? pass_.weight_floats() * sizeof(float) : 0; }

 private:
  const bool keeps_;
  const WinogradPass pass_;
};

// Partial sums of the weights' gradients: a fixed number, so that the order of the sums does not depend on the threads.
constexpr uint64_t most_parts = 4, most_frugal_parts = 1, parts_bytes = uint64_t{16} << 20;
// Sums that leave room for the tiles in a second cache of 1 MB.
constexpr uint64_t near_bytes = uint64_t{512} << 10;
// Samples of one block in front of the products.
constexpr uint32_t block_samples = 8;

// Where a processor does not tell: the least of those with wide vectors.
uint64_t second_cache_bytes() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return static_cast<uint64_t>(bytes);
#endif
  return uint64_t{1} << 20;
}

class Conv2dWinogradBackward final : public Kernel {
 public:
  Conv2dWinogradBackward(const KernelRequest& request, const Conv2dShape& shape, Target target)
      : op_(*request.op),
        shape_(shape),
        dx_(winograd_input_gradient_shape(shape), request.threads, target),
        sum_(for_target(winograd_weights_sum_table, target)),
        both_(for_target(winograd_both_gradients_table, target)),
        reduce_(for_target(winograd_weights_reduce_table, target)),
        bias_sum_(for_target(conv2d_bias_sum_table, target)),
        activation_(for_target(activation_backward_table, target)),
        layout_(for_target(winograd_weights_plan_table, target)(dx_.shape(), dx_.layout())),
        changes_dy_(op_.has_relu || op_.dropout > 0),
        threads_(request.threads),
        thread_floats_(align_floats(layout_.scratch_floats)),
        both_thread_floats_(align_floats(layout_.both_scratch_floats)),
        part_floats_(align_floats(winograd_pairs * layout_.unit_floats)),
        parts_(static_cast<uint32_t>(std::clamp<uint64_t>(parts_bytes / (part_floats_ * sizeof(float)), 1,
                                                          request.frugal ? most_frugal_parts : most_parts))),
        dz_floats_(changes_dy_ ? align_floats(request.micro_batch * shape.y_elements()) : 0),
        bias_floats_(align_floats(divide_up(request.micro_batch, block_samples) * shape.out_channels)),
        joins_(op_.dweight != no_tensor && op_.dx != no_tensor && threads_ <= parts_ &&
               (dx_.weight_floats() + winograd_pairs * layout_.unit_floats + layout_.both_scratch_floats) * sizeof(float) <=
                   second_cache_bytes()) {
    const uint64_t parts = parts_ * part_floats_;
    uint64_t most = parts + request.threads * thread_floats_;
    if (op_.dx != no_tensor) most = std::max(most, dx_.scratch_floats());
    if (joins_) most = std::max(most, parts + dx_.weight_floats() + request.threads * both_thread_floats_);
    scratch_floats_ = dz_floats_ + bias_floats_ + most;
    std::snprintf(name_, sizeof name_, "highway conv2d_backward winograd %s", target_name(target));
  }

  void run(const KernelContext& context) override {
    const uint32_t samples = context.arguments->samples;
    float* const scratch = context.scratch<float>() + dz_floats_ + bias_floats_;
    const float* const dz = undo_activation(context);
    const uint8_t* const winners = op_.has_pool ? context.at<uint8_t>(op_.argmax) : nullptr;
    const WinogradTensors tensors{dz,      winners, nullptr, op_.dx != no_tensor ? context.at<float>(op_.dx) : nullptr,
                                  nullptr, false};
    if (joins_ && threads_ <= used_parts(samples)) {
      make_both_gradients(context, tensors, scratch);
      return;
    }
    if (op_.dweight != no_tensor) make_weight_gradients(context, dz, winners, scratch);
    if (op_.dx == no_tensor) return;
    dx_.run(context.pool, context.at<float>(op_.weight), nullptr, tensors, samples, scratch, [](uint32_t, uint32_t) {});
  }
  uint64_t scratch_bytes() const override { return scratch_floats_ * sizeof(float); }
  const char* name() const override { return name_; }

 private:
  // The gradients in front of ReLU and dropout, and dbias from them.
  const float* undo_activation(const KernelContext& context) const {
    const RunArguments& arguments = *context.arguments;
    const float* const dy = context.at<float>(op_.dy);
    const float* const y = context.at<float>(op_.y);
    const uint8_t* const mask = op_.dropout > 0 ? context.at<uint8_t>(op_.mask) : nullptr;
    float* const dbias = op_.has_bias ? context.at<float>(op_.dbias) : nullptr;
    float* const dz = context.scratch<float>();
    float* const sums = dz + dz_floats_;
    const float scale = mask != nullptr && arguments.dropout ? 1 / (1 - op_.dropout) : 1.0f;
    const uint64_t elements = shape_.y_elements();
    const uint32_t blocks = static_cast<uint32_t>(divide_up(arguments.samples, block_samples));
    context.pool->run(changes_dy_ || dbias != nullptr ? blocks : 0, [&](uint32_t block, uint32_t) {
      const uint32_t first = block * block_samples, end = std::min(first + block_samples, arguments.samples);
      if (changes_dy_)
        for (uint32_t sample = first; sample < end; ++sample)
          activation_(dy + sample * elements, y != nullptr ? y + sample * elements : nullptr,
                      mask != nullptr ? mask + sample * mask_row_bytes(elements) : nullptr, elements, op_.has_relu, scale,
                      dz + sample * elements);
      if (dbias == nullptr) return;
      float* const own = sums + uint64_t{block} * shape_.out_channels;
      std::fill_n(own, shape_.out_channels, 0.0f);
      bias_sum_((changes_dy_ ? dz : dy) + first * elements, (end - first) * shape_.y_pixels(), shape_.out_channels, own);
    });
    if (dbias != nullptr)
      for (uint32_t channel = 0; channel < shape_.out_channels; ++channel) {
        float sum = arguments.accumulate ? dbias[channel] : 0;
        for (uint32_t block = 0; block < blocks; ++block) sum += sums[uint64_t{block} * shape_.out_channels + channel];
        dbias[channel] = sum;
      }
    return changes_dy_ ? dz : dy;
  }

  // Samples of a part, and parts that so many samples make.
  uint32_t share_of(uint32_t samples) const { return static_cast<uint32_t>(divide_up(samples, parts_)); }
  uint32_t used_parts(uint32_t samples) const { return static_cast<uint32_t>(divide_up(samples, share_of(samples))); }

  void make_weight_gradients(const KernelContext& context, const float* dz, const uint8_t* winners, float* parts) const {
    const uint32_t samples = context.arguments->samples, share = share_of(samples), used = used_parts(samples);
    const float* const x = context.at<float>(op_.x);
    float* const scratch = parts + parts_ * part_floats_;
    // All pairs in one go read the tensors once, where there are parts for every thread and all sums stay near.
    const bool together = threads_ <= used && winograd_pairs * layout_.unit_floats * sizeof(float) <= near_bytes;
    const uint32_t goes = together ? 1 : winograd_pairs, pairs = winograd_pairs / goes;
    context.pool->run(used * goes, [&](uint32_t unit, uint32_t thread) {
      const uint32_t part = unit / goes, pair = unit % goes, first = part * share;
      const WinogradWeightsTensors tensors{x + first * shape_.x_elements(), dz + first * shape_.y_elements(),
                                           winners != nullptr ? winners + first * shape_.y_elements() : nullptr};
      sum_(dx_.shape(), layout_, tensors, std::min(share, samples - first), pair, pairs, scratch + thread * thread_floats_,
           parts + part * part_floats_ + pair * layout_.unit_floats);
    });
    reduce(context, parts, used);
  }

  void make_both_gradients(const KernelContext& context, WinogradTensors tensors, float* parts) const {
    const uint32_t samples = context.arguments->samples, share = share_of(samples), used = used_parts(samples);
    const float* const x = context.at<float>(op_.x);
    float* const packed = parts + parts_ * part_floats_;
    float* const scratch = packed + dx_.weight_floats();
    dx_.pack(context.pool, context.at<float>(op_.weight), nullptr, packed);
    tensors.packed = packed;
    context.pool->run(used, [&](uint32_t part, uint32_t thread) {
      const uint32_t first = part * share;
      both_(dx_.shape(), layout_, dx_.from_sample(tensors, first), x + first * shape_.x_elements(),
            std::min(share, samples - first), scratch + thread * both_thread_floats_, parts + part * part_floats_);
    });
    reduce(context, parts, used);
  }

  void reduce(const KernelContext& context, const float* parts, uint32_t used) const {
    float* const dweight = context.at<float>(op_.dweight);
    context.pool->run(shape_.in_channels, [&](uint32_t channel, uint32_t) {
      reduce_(dx_.shape(), layout_, parts, part_floats_, used, channel, context.arguments->accumulate, dweight);
    });
  }

  const Op op_;
  const Conv2dShape shape_;
  const WinogradPass dx_;
  WinogradWeightsSum* const sum_;
  WinogradBothGradients* const both_;
  WinogradWeightsReduce* const reduce_;
  Conv2dBiasSum* const bias_sum_;
  ActivationBackward* const activation_;
  const WinogradWeightsLayout layout_;
  const bool changes_dy_;
  const uint32_t threads_;
  const uint64_t thread_floats_, both_thread_floats_, part_floats_;
  const uint32_t parts_;
  const uint64_t dz_floats_, bias_floats_;
  const bool joins_;  // both gradients in one pass, which reads and transforms dz once
  uint64_t scratch_floats_ = 0;
  char name_[48];
};

}  // namespace

std::unique_ptr<Kernel> make_conv2d_winograd(const Program& program, const KernelRequest& request, const Conv2dShape& shape,
                                             Target target) {
  return std::make_unique<Conv2dWinograd>(program, request, shape, target);
}

std::unique_ptr<Kernel> make_conv2d_winograd_backward(const KernelRequest& request, const Conv2dShape& shape,
                                                      Target target) {
  return std::make_unique<Conv2dWinogradBackward>(request, shape, target);
}

}  // namespace lt::cpu::highway
