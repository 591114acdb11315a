// Softmax and cross-entropy: the statistics of the samples, and the gradient of the logits.
#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"

namespace lt::cuda {
namespace {

// How samples are cut into blocks: by their number alone, so that the order of the sums is. Few samples are one block's,
// which needs no second kernel.
struct LossBlocks {
  uint32_t samples, count;
};
constexpr uint32_t warps = loss_threads / 32, most_blocks = 1024;
LossBlocks blocks_of(uint32_t samples) {
  if (samples <= 2 * warps) return {samples, 1};
  const uint32_t of_block = std::max(warps, grid_blocks(samples, most_blocks));
  return {of_block, grid_blocks(samples, of_block)};
}

class SoftmaxCrossEntropy final : public Kernel {
 public:
  SoftmaxCrossEntropy(const Op& op, uint32_t micro_batch) : op_(op), micro_batch_(micro_batch) {}

  Status enqueue(const Site& site) override {
    if (!site.has_labels) return Status::ok;
    const LossBlocks blocks = blocks_of(site.samples);
    auto* statistics = site.at<Statistics>(op_.statistics);
    LossArguments arguments{};
    arguments.x = site.at<const float>(op_.x);
    arguments.labels = site.at<const int32_t>(op_.staging_labels);
    arguments.dx = site.training ? site.at<void>(op_.dx) : nullptr;
    arguments.statistics = statistics;
    arguments.partials = blocks.count == 1 ? nullptr : site.scratch<Statistics>();
    arguments.samples = site.samples;
    arguments.block_samples = blocks.samples;
    arguments.classes = static_cast<uint32_t>(op_.x_extent.elements());
    arguments.batch_samples = site.batch_samples;
    arguments.accumulate = site.accumulate ? 1 : 0;
    const bool bf16 = op_.dx != no_tensor && site.program->tensors[op_.dx].dtype == DType::bf16;
    LT_TRY(bf16 ? site.launcher.launch<KernelId::softmax_cross_entropy_bf16>({blocks.count}, loss_threads, arguments)
                : site.launcher.launch<KernelId::softmax_cross_entropy_f32>({blocks.count}, loss_threads, arguments));
    if (blocks.count == 1) return Status::ok;
    return site.launcher.launch<KernelId::statistics_sum>(
        {}, 32, {arguments.partials, statistics, blocks.count, arguments.accumulate});
  }

  // Fewer samples than the most may be cut into more blocks, but not into more than this.
  uint64_t scratch_bytes() const override {
    return uint64_t{std::min(grid_blocks(micro_batch_, warps), most_blocks)} * sizeof(Statistics);
  }
  const char* name() const override { return "own softmax"; }

 private:
  Op op_;
  uint32_t micro_batch_;
};

}  // namespace

std::unique_ptr<Kernel> make_own_softmax_cross_entropy(const KernelRequest& request) {
  const Op& op = *request.op;
  if (request.program->tensors[op.x].dtype != DType::f32) {
    (void)fail(Status::unsupported, "%s: the CUDA kernel takes logits of floats", op.layer.c_str());
    return nullptr;
  }
  return std::make_unique<SoftmaxCrossEntropy>(op, request.micro_batch);
}

}  // namespace lt::cuda
