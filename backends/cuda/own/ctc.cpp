// Connectionist temporal classification: the statistics of the samples, and the gradient of the logits. A kernel owns
// nothing but its sizes; its executor's thread calls it.
#include <algorithm>

#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"
#include "backends/cuda/scratch.h"

namespace lt::cuda {
namespace {

constexpr uint64_t most_shared_bytes = 48 << 10;  // what every device gives without being asked

class Ctc final : public Kernel {
 public:
  Ctc(const Op& op, uint32_t micro_batch)
      : op_(op), states_(ctc_states(op.label_count)), shared_bytes_(2 * uint64_t{states_} * sizeof(double)) {
    const uint64_t rows = uint64_t{op.x_extent.height} * micro_batch;
    log_sums_ = scratch_.take(rows * sizeof(double));
    best_ = scratch_.take(rows * sizeof(int32_t));
    likelihoods_ = scratch_.take(micro_batch * sizeof(double));
    partials_ = scratch_.take(micro_batch * sizeof(Statistics));
    if (op.dx != no_tensor) paths_ = scratch_.take(rows * states_ * sizeof(double));
    if (shared_bytes_ > most_shared_bytes) rows_of_states_ = scratch_.take(micro_batch * shared_bytes_);
  }

  Status enqueue(const Site& site) override {
    if (!site.has_labels) return Status::ok;
    std::byte* const scratch = ScratchLayout::start(site.scratch<std::byte>());
    const bool in_shared = shared_bytes_ <= most_shared_bytes;
    CtcArguments a{};
    a.x = site.at<const float>(op_.x);
    a.labels = site.at<const int32_t>(op_.staging_labels);
    a.lengths = op_.has_lengths && site.has_lengths ? site.at<const uint32_t>(op_.staging_lengths) : nullptr;
    a.log_sums = reinterpret_cast<double*>(scratch + log_sums_);
    a.best = reinterpret_cast<int32_t*>(scratch + best_);
    a.likelihoods = reinterpret_cast<double*>(scratch + likelihoods_);
    a.partials = reinterpret_cast<Statistics*>(scratch + partials_);
    a.states = in_shared ? nullptr : reinterpret_cast<double*>(scratch + rows_of_states_);
    a.dx = site.training ? site.at<void>(op_.dx) : nullptr;
    a.paths = a.dx != nullptr ? reinterpret_cast<double*>(scratch + paths_) : nullptr;
    a.steps = op_.x_extent.height;
    a.samples = site.samples;
    a.classes = op_.x_extent.channels;
    a.label_count = op_.label_count;
    a.batch_samples = site.batch_samples;
    a.bf16 = op_.dx != no_tensor && site.program->tensors[op_.dx].dtype == DType::bf16 ? 1 : 0;
    const uint32_t rows = a.steps * a.samples;
    const Launcher& launcher = site.launcher;
    LT_TRY(launcher.launch<KernelId::ctc_rows>({grid_blocks(rows, ctc_row_threads / 32)}, ctc_row_threads, a));
    const uint32_t threads = std::min(grid_blocks(states_, 32) * 32, ctc_path_threads);
    LT_TRY(launcher.launch<KernelId::ctc_paths>({a.samples}, threads, a,
                                                in_shared ? static_cast<uint32_t>(shared_bytes_) : 0));
    LT_TRY(launcher.launch<KernelId::statistics_sum>(
        {}, 32, {a.partials, site.at<Statistics>(op_.statistics), a.samples, site.accumulate ? 1u : 0u}));
    if (a.dx == nullptr) return Status::ok;
    return launcher.launch<KernelId::ctc_gradient>({rows}, ctc_gradient_threads, a);
  }

  uint64_t scratch_bytes() const override { return scratch_.bytes(); }
  const char* name() const override { return "own CTC"; }

 private:
  Op op_;
  uint32_t states_;
  uint64_t shared_bytes_;
  ScratchLayout scratch_;
  uint64_t log_sums_ = 0, best_ = 0, likelihoods_ = 0, partials_ = 0, paths_ = 0, rows_of_states_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_own_ctc(const KernelRequest& request) {
  const Op& op = *request.op;
  if (uint64_t{op.x_extent.height} * request.micro_batch > INT32_MAX || op.label_count > INT32_MAX / 4) {
    (void)fail(Status::unsupported,
               "%s: %u samples of %u steps and %u labels; the CUDA kernel takes %d steps of all samples", op.layer.c_str(),
               request.micro_batch, op.x_extent.height, op.label_count, INT32_MAX);
    return nullptr;
  }
  if (request.program->tensors[op.x].dtype != DType::f32) {
    (void)fail(Status::unsupported, "%s: the CUDA kernel takes logits of floats", op.layer.c_str());
    return nullptr;
  }
  if (op.has_lengths && op.staging_lengths == no_tensor) {
    (void)fail(Status::unsupported, "%s: its samples have lengths, and no place for them on the device", op.layer.c_str());
    return nullptr;
  }
  return std::make_unique<Ctc>(op, request.micro_batch);
}

}  // namespace lt::cuda
