// Embeddings, forward and backward, and the steps of their rows that were put off. A kernel owns nothing but its sizes; its
// executor's thread calls it.
#include <algorithm>

#include "backends/cuda/own/own.h"
#include "backends/cuda/own/rows.h"
#include "backends/cuda/scratch.h"

namespace lt::cuda {
namespace {

class Embedding final : public Kernel {
 public:
  Embedding(const Op& op, uint32_t micro_batch) : op_(op) {
    if (op.kind == OpKind::embedding_catch_up) return;
    const uint64_t positions = uint64_t{op.x_extent.height} * micro_batch;
    first_ = scratch_.take(op.vocabulary * sizeof(uint32_t));
    numbers_ = scratch_.take(op.vocabulary * sizeof(int32_t));
    word_of_ = scratch_.take(positions * sizeof(int32_t));
    rows_ = scratch_.take((positions + 1) * sizeof(int32_t));
    if (op.kind == OpKind::embedding_backward)
      sums_ = scratch_.take(std::min<uint64_t>(positions, op.vocabulary) * op.y_extent.channels * sizeof(float));
  }

  Status enqueue(const Site& site) override {
    EmbeddingArguments a{};
    a.features = op_.y_extent.channels;
    a.last_steps = site.at<int32_t>(op_.last_steps);
    a.weight = site.at<float>(op_.weight);
    a.state = site.at<float>(op_.state);
    a.state2 = site.at<float>(op_.state2);
    a.step = site.state;
    a.statistics = site.at<const Statistics>(op_.statistics);
    const Launcher& launcher = site.launcher;
    if (op_.kind == OpKind::embedding_catch_up)
      return launcher.launch<KernelId::embedding_catch_up>({op_.vocabulary}, embedding_threads, a);
    std::byte* const scratch = ScratchLayout::start(site.scratch<std::byte>());
    a.positions = {op_.has_lengths && site.has_lengths ? site.at<const uint32_t>(op_.staging_lengths) : nullptr,
                   op_.x_extent.height, site.samples};
    a.words = site.at<const int32_t>(op_.x);
    return op_.kind == OpKind::embedding ? forward(site, scratch, a) : backward(site, scratch, a);
  }

  uint64_t scratch_bytes() const override { return scratch_.bytes(); }
  const char* name() const override { return "own embedding"; }

 private:
  uint32_t positions(const Site& site) const { return op_.x_extent.height * site.samples; }
  uint32_t most_numbers(const Site& site) const { return std::min(positions(site), op_.vocabulary); }

  // Gives the run's words their numbers.
  Status number(const Site& site, std::byte* scratch, EmbeddingArguments* a) const {
    const Launcher& launcher = site.launcher;
    WordsArguments words{a->positions,
                         a->words,
                         reinterpret_cast<uint32_t*>(scratch + first_),
                         reinterpret_cast<int32_t*>(scratch + numbers_),
                         reinterpret_cast<int32_t*>(scratch + word_of_),
                         reinterpret_cast<int32_t*>(scratch + rows_)};
    LT_TRY(check(*launcher.driver,
                 launcher.driver->cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(words.first), 0,
                                                  op_.vocabulary * sizeof(uint32_t), launcher.stream),
                 "clearing the words' places"));
    const Grid grid{grid_blocks(positions(site), words_threads)};
    LT_TRY(launcher.launch<KernelId::embedding_first>(grid, words_threads, words));
    LT_TRY(launcher.launch<KernelId::embedding_number>({}, words_threads, words));
    LT_TRY(launcher.launch<KernelId::embedding_rows>(grid, words_threads, words));
    a->word_of = words.word_of;
    a->count = words.rows + positions(site);
    return Status::ok;
  }

  Status forward(const Site& site, std::byte* scratch, EmbeddingArguments& a) const {
    const Launcher& launcher = site.launcher;
    if (a.last_steps != nullptr) {
      LT_TRY(number(site, scratch, &a));
      LT_TRY(launcher.launch<KernelId::embedding_catch_up>({most_numbers(site)}, embedding_threads, a));
    }
    a.y = site.at<void>(op_.y);
    a.bf16 = site.program->tensors[op_.y].dtype == DType::bf16 ? 1 : 0;
    return launcher.launch<KernelId::embedding_gather>({positions(site)}, embedding_threads, a);
  }

  Status backward(const Site& site, std::byte* scratch, EmbeddingArguments& a) const {
    const Launcher& launcher = site.launcher;
    LT_TRY(number(site, scratch, &a));
    const bool bf16 = site.program->tensors[op_.dy].dtype == DType::bf16;
    const SegmentSumsArguments sums{a.positions, a.count - positions(site), site.at<const void>(op_.dy),
                                    reinterpret_cast<float*>(scratch + sums_), a.features};
    a.sums = sums.sums;
    const Grid grid{most_numbers(site)};
    LT_TRY(bf16 ? launcher.launch<KernelId::segment_sums_bf16>(grid, segment_threads, sums)
                : launcher.launch<KernelId::segment_sums_f32>(grid, segment_threads, sums));
    a.dweight = site.at<float>(op_.dweight);
    a.accumulate = site.accumulate ? 1 : 0;
    if (a.dweight != nullptr && !site.accumulate)
      LT_TRY(check(*launcher.driver,
                   launcher.driver->cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(a.dweight), 0,
                                                    uint64_t{op_.vocabulary} * a.features * sizeof(float), launcher.stream),
                   "clearing the embedding's gradient"));
    return launcher.launch<KernelId::embedding_apply>({most_numbers(site)}, embedding_threads, a);
  }

  Op op_;
  ScratchLayout scratch_;
  uint64_t first_ = 0, numbers_ = 0, word_of_ = 0, rows_ = 0, sums_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_own_embedding(const KernelRequest& request) {
  const Op& op = *request.op;
  if (uint64_t{op.x_extent.height} * request.micro_batch > INT32_MAX) {
    (void)fail(Status::unsupported, "%s: %u samples of %u words; the CUDA kernel takes %d of all samples", op.layer.c_str(),
               request.micro_batch, op.x_extent.height, INT32_MAX);
    return nullptr;
  }
  if (op.has_lengths && op.staging_lengths == no_tensor) {
    (void)fail(Status::unsupported, "%s: its samples have lengths, and no place for them on the device", op.layer.c_str());
    return nullptr;
  }
  return std::make_unique<Embedding>(op, request.micro_batch);
}

}  // namespace lt::cuda
