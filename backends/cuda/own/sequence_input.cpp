// Raw sequences and words, from the staging tensor or a kept set.
#include <algorithm>

#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"

namespace lt::cuda {
namespace {

class SequenceInput final : public Kernel {
 public:
  explicit SequenceInput(const Op& op) : op_(op) {
    // (value * scale - mean) / deviation as one multiplication and one addition.
    arguments_.steps = op.x_extent.height;
    arguments_.features = op.x_extent.channels;
    arguments_.bytes = op.x_dtype == DType::u8 ? 1 : 0;
    arguments_.own_factors = !op.mean.empty() || !op.deviation.empty() ? 1 : 0;
    for (uint32_t f = 0; f < (arguments_.own_factors != 0 ? arguments_.features : 1); ++f) {
      const double mean = op.mean.empty() ? 0 : static_cast<double>(op.mean[f]);
      const double deviation = op.deviation.empty() ? 1 : static_cast<double>(op.deviation[f]);
      arguments_.factor[f] = static_cast<float>(static_cast<double>(op.scale) / deviation);
      arguments_.offset[f] = static_cast<float>(-mean / deviation);
    }
  }

  Status enqueue(const Site& site) override {
    SequenceInputArguments arguments = arguments_;
    arguments.samples = site.samples;
    arguments.x = site.at<const void>(op_.staging_x);
    arguments.y = site.at<void>(op_.y);
    if (site.kept != nullptr) {
      const KeptSet& set = *site.kept;
      arguments.x = set.x;
      arguments.state = site.state;
      arguments.sample_offset = site.sample_offset;
      arguments.labels = set.labels;
      arguments.label_count = set.label_count;
      arguments.staging_labels = site.has_labels && set.labels != nullptr ? site.at<int32_t>(op_.staging_labels) : nullptr;
      arguments.lengths = set.lengths;
      arguments.staging_lengths = set.lengths != nullptr ? site.at<uint32_t>(op_.staging_lengths) : nullptr;
    }
    const Launcher& launcher = site.launcher;
    if (op_.x_dtype == DType::i32)
      return launcher.launch<KernelId::word_input>({site.samples}, sequence_input_threads, arguments);
    const Grid grid{site.samples * arguments.steps};
    return site.program->tensors[op_.y].dtype == DType::bf16
               ? launcher.launch<KernelId::sequence_input_bf16>(grid, sequence_input_threads, arguments)
               : launcher.launch<KernelId::sequence_input_f32>(grid, sequence_input_threads, arguments);
  }

  const char* name() const override { return "own sequence input"; }

 private:
  Op op_;
  SequenceInputArguments arguments_{};
};

}  // namespace

std::unique_ptr<Kernel> make_own_sequence_input(const KernelRequest& request) {
  const Op& op = *request.op;
  if (uint64_t{op.x_extent.height} * request.micro_batch > INT32_MAX) {
    (void)fail(Status::unsupported, "%s: %u samples of %u steps; the CUDA kernel takes %d of all samples", op.layer.c_str(),
               request.micro_batch, op.x_extent.height, INT32_MAX);
    return nullptr;
  }
  if ((!op.mean.empty() || !op.deviation.empty()) && op.x_extent.channels > most_sequence_features) {
    (void)fail(Status::unsupported, "%s: means and deviations of %u features, the CUDA kernel takes %u", op.layer.c_str(),
               op.x_extent.channels, most_sequence_features);
    return nullptr;
  }
  if (op.x_dtype == DType::bf16) {
    (void)fail(Status::unsupported, "%s: the CUDA kernel takes samples of bytes, floats or words", op.layer.c_str());
    return nullptr;
  }
  return std::make_unique<SequenceInput>(op);
}

}  // namespace lt::cuda
