// Embeddings: a batch's different words are found once, by one thread, in the order in which they come first; all else goes
// by words, some of them a block of the pool's. A word's gradients are added in the order of its places. Kernels own the
// rates of the last steps (Op::last_steps) and sizes; `run` is called by the executor's thread.
#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/highway/bf16.h"
#include "backends/cpu/highway/embedding_rows.h"
#include "backends/cpu/highway/factory.h"
#include "backends/cpu/highway/named_kernel.h"
#include "src/base/checked.h"

namespace lt::cpu::highway {
namespace {

constexpr uint32_t block_words = 32;

// The rates of Adam's steps, by which rows catch up: two powers a step, and most gaps are short.
class StepRates {
 public:
  // Knows all steps up to `last` afterwards.
  void reach(uint64_t last, const RunArguments& arguments) {
    if (!same_rates(arguments)) known_ = 0;
    arguments_ = arguments;
    for (uint64_t step = std::max(known_ + 1, last >= size ? last - size + 1 : 1); step <= last; ++step)
      ring_[step % size] = rates_of(step);
    known_ = std::max(known_, last);
  }

  // The row's steps first .. last, without a gradient.
  void take(uint64_t first, uint64_t last, const AdamRow& row, AdamSteps* steps) const {
    while (first <= last) {
      if (first + size <= known_) {  // too long ago
        const UpdateRates rates = rates_of(first);
        steps(row, nullptr, &rates, 1);
        ++first;
      } else {
        const uint64_t place = first % size, count = std::min(last - first + 1, size - place);
        steps(row, nullptr, ring_.data() + place, count);
        first += count;
      }
    }
  }

 private:
  static constexpr uint64_t size = 1024;

  UpdateRates rates_of(uint64_t step) const {
    RunArguments arguments = arguments_;
    arguments.step = step;
    return update_rates(OpKind::update_adam, arguments);
  }
  bool same_rates(const RunArguments& a) const {
    return a.learning_rate == arguments_.learning_rate && a.beta1 == arguments_.beta1 && a.beta2 == arguments_.beta2 &&
           a.epsilon == arguments_.epsilon;
  }

  RunArguments arguments_;
  uint64_t known_ = 0;
  std::array<UpdateRates, size> ring_{};
};

// Rows whose steps are put off.
class DeferredRows {
 public:
  DeferredRows(const Op& op, Target target) : op_(op), steps_(for_target(adam_steps_table, target)) {}

  void begin(const KernelContext& context) {
    last_steps_ = context.at<int32_t>(op_.last_steps);
    all_ = {context.at<float>(op_.parameters), context.at<float>(op_.state), context.at<float>(op_.state2),
            op_.y_extent.channels};
    step_ = context.arguments->step;
  }
  // For catch_up.
  void prepare_rates(const RunArguments& arguments) { rates_.reach(step_ - 1, arguments); }
  void catch_up(uint64_t row) const {
    const auto last = static_cast<uint64_t>(last_steps_[row]);
    if (last + 1 >= step_) return;
    rates_.take(last + 1, step_ - 1, row_at(row), steps_);
    last_steps_[row] = static_cast<int32_t>(step_ - 1);
  }
  void update(uint64_t row, const float* gradient, const UpdateRates& rates) const {
    steps_(row_at(row), gradient, &rates, 1);
    last_steps_[row] = static_cast<int32_t>(step_);
  }

 private:
  AdamRow row_at(uint64_t row) const {
    const uint64_t first = row * all_.features;
    return {all_.w + first, all_.m + first, all_.v + first, all_.features};
  }

  const Op& op_;
  AdamSteps* steps_;
  StepRates rates_;
  AdamRow all_{};
  int32_t* last_steps_ = nullptr;
  uint64_t step_ = 0;
};

template <class Task>
void each_block(ThreadPool* pool, uint64_t rows, const Task& task) {
  pool->run(static_cast<uint32_t>(divide_up(rows, block_words)), [&](uint32_t block, uint32_t thread) {
    const uint64_t first = uint64_t{block} * block_words;
    for (uint64_t row = first; row < std::min(first + block_words, rows); ++row) task(row, thread);
  });
}

// The different words of a run and their places, in scratch. A place is [time][sample]; those behind a sample's length do
// not count.
class BatchWords {
 public:
  BatchWords(const Op& op, uint32_t micro_batch)
      : vocabulary_(op.vocabulary), most_(uint64_t{op.x_extent.height} * micro_batch) {}
  uint64_t bytes() const { return align_up((vocabulary_ + 4 * most_ + 2) * sizeof(int32_t), tensor_alignment); }

  void find(const Op& op, const KernelContext& context, std::byte* scratch) {
    const RunArguments& arguments = *context.arguments;
    const uint32_t* const lengths = op.has_lengths ? arguments.lengths : nullptr;
    auto* const numbers = reinterpret_cast<int32_t*>(scratch);
    words_ = numbers + vocabulary_;
    rows_ = words_ + most_;
    order_ = rows_ + most_;
    starts_ = order_ + most_;
    count_ = 0;
    places_ = uint64_t{op.x_extent.height} * arguments.samples;
    std::memset(numbers, 0xFF, vocabulary_ * sizeof(int32_t));
    const int32_t* const x = context.at<int32_t>(op.x);
    uint64_t place = 0;
    for (uint32_t t = 0; t < op.x_extent.height; ++t)
      for (uint32_t sample = 0; sample < arguments.samples; ++sample, ++place) {
        if (lengths != nullptr && t >= lengths[sample]) {
          rows_[place] = nowhere;
          continue;
        }
        int32_t& number = numbers[x[place]];
        if (number < 0) {
          number = count_;
          words_[count_++] = x[place];
        }
        rows_[place] = number;
      }
  }

  // For `places_of`: counts, sums of them, and each place behind those of its word that come before.
  void sort() {
    std::fill_n(starts_, count() + 2, 0);
    for (uint64_t place = 0; place < places_; ++place)
      if (rows_[place] != nowhere) ++starts_[rows_[place] + 2];
    for (uint64_t k = 2; k < count() + 2; ++k) starts_[k] += starts_[k - 1];
    for (uint64_t place = 0; place < places_; ++place)
      if (rows_[place] != nowhere) order_[starts_[rows_[place] + 1]++] = static_cast<int32_t>(place);
  }

  uint64_t count() const { return static_cast<uint64_t>(count_); }
  uint64_t places() const { return places_; }
  int32_t row(uint64_t place) const { return rows_[place]; }
  uint64_t word(uint64_t number) const { return static_cast<uint64_t>(words_[number]); }
  const int32_t* places_of(uint64_t number) const { return order_ + starts_[number]; }
  uint64_t uses(uint64_t number) const { return static_cast<uint64_t>(starts_[number + 1] - starts_[number]); }

  static constexpr int32_t nowhere = -1;

 private:
  uint64_t vocabulary_, most_, places_ = 0;
  int32_t count_ = 0;
  int32_t *words_ = nullptr, *rows_ = nullptr, *order_ = nullptr, *starts_ = nullptr;
};

class Embedding final : public NamedKernel {
 public:
  Embedding(const Op& op, const KernelRequest& request, Target target)
      : NamedKernel("embedding", target),
        op_(op),
        words_(op, request.micro_batch),
        deferred_(op_, target),
        round_(for_target(round_row_table, target)) {}

  uint64_t scratch_bytes() const override { return words_.bytes(); }

  void run(const KernelContext& context) override {
    const bool is_deferred = op_.last_steps != no_tensor;
    words_.find(op_, context, context.scratch<std::byte>());
    if (is_deferred) {
      deferred_.begin(context);
      deferred_.prepare_rates(*context.arguments);
    }
    const bool once = op_.rows != no_tensor;
    if (once || is_deferred)
      each_block(context.pool, words_.count(), [&](uint64_t number, uint32_t) {
        if (is_deferred) deferred_.catch_up(words_.word(number));
        if (once) copy_row(context, words_.word(number), number);
      });
    if (once) return tell_rows(context.at<int32_t>(op_.rows));
    each_block(context.pool, words_.places(), [&](uint64_t place, uint32_t) {
      if (words_.row(place) == BatchWords::nowhere)
        clear_row(context, place);
      else
        copy_row(context, words_.word(static_cast<uint64_t>(words_.row(place))), place);
    });
  }

 private:
  bool narrow(const KernelContext& context) const { return context.program->tensors[op_.y].dtype == DType::bf16; }

  void copy_row(const KernelContext& context, uint64_t word, uint64_t to) const {
    const uint64_t features = op_.y_extent.channels;
    const float* const from = context.at<float>(op_.weight) + word * features;
    if (narrow(context))
      round_(from, features, context.at<Bf16>(op_.y) + to * features);
    else
      std::copy_n(from, features, context.at<float>(op_.y) + to * features);
  }

  void clear_row(const KernelContext& context, uint64_t to) const {
    const uint64_t bytes = op_.y_extent.channels * (narrow(context) ? sizeof(Bf16) : sizeof(float));
    std::memset(context.at<std::byte>(op_.y) + to * bytes, 0, bytes);
  }

  void tell_rows(int32_t* rows) const {
    for (uint64_t place = 0; place < words_.places(); ++place) rows[place] = std::max(words_.row(place), 0);
    rows[words_.places()] = static_cast<int32_t>(words_.count());
  }

  const Op op_;
  BatchWords words_;
  DeferredRows deferred_;
  RoundRow* const round_;
};

class EmbeddingBackward final : public NamedKernel {
 public:
  EmbeddingBackward(const Op& op, const KernelRequest& request, Target target)
      : NamedKernel("embedding backward", target),
        op_(op),
        threads_(request.threads),
        words_(op, request.micro_batch),
        deferred_(op_, target),
        sum_(for_target(sum_rows_table, target)) {}

  uint64_t scratch_bytes() const override { return words_.bytes() + threads_ * row_bytes(); }

  void run(const KernelContext& context) override {
    const RunArguments& arguments = *context.arguments;
    if (op_.folded_update && context.at<Statistics>(op_.statistics)->non_finite != 0) return;
    std::byte* const scratch = context.scratch<std::byte>();
    words_.find(op_, context, scratch);
    if (op_.rows == no_tensor) words_.sort();
    const auto gradient_of = [&](uint64_t number, uint32_t thread) {
      auto* const sum = reinterpret_cast<float*>(scratch + words_.bytes() + thread * row_bytes());
      sum_gradients(context, number, sum);
      return sum;
    };
    if (op_.folded_update) {
      deferred_.begin(context);
      const UpdateRates rates = update_rates(*op_.folded_update, arguments);
      return each_block(context.pool, words_.count(), [&](uint64_t number, uint32_t thread) {
        deferred_.update(words_.word(number), gradient_of(number, thread), rates);
      });
    }
    const uint64_t features = op_.y_extent.channels;
    float* const dweight = context.at<float>(op_.dweight);
    if (!arguments.accumulate)
      each_block(context.pool, op_.vocabulary,
                 [&](uint64_t row, uint32_t) { std::fill_n(dweight + row * features, features, 0.0f); });
    each_block(context.pool, words_.count(), [&](uint64_t number, uint32_t thread) {
      const float* const sum = gradient_of(number, thread);
      float* const row = dweight + words_.word(number) * features;
      for (uint64_t i = 0; i < features; ++i) row[i] += sum[i];
    });
  }

 private:
  uint64_t row_bytes() const { return align_up(op_.y_extent.channels * sizeof(float), tensor_alignment); }

  // Where dy has each word once, its row is the sum.
  void sum_gradients(const KernelContext& context, uint64_t number, float* sum) const {
    const bool narrow = context.program->tensors[op_.dy].dtype == DType::bf16;
    const auto own_row = static_cast<int32_t>(number);
    const bool once = op_.rows != no_tensor;
    sum_({narrow ? nullptr : context.at<float>(op_.dy), narrow ? context.at<Bf16>(op_.dy) : nullptr,
          once ? &own_row : words_.places_of(number), once ? 1 : words_.uses(number), op_.y_extent.channels},
         sum);
  }

  const Op op_;
  const uint64_t threads_;
  BatchWords words_;
  DeferredRows deferred_;
  SumRows* const sum_;
};

class EmbeddingCatchUp final : public NamedKernel {
 public:
  EmbeddingCatchUp(const Op& op, Target target)
      : NamedKernel("embedding catch up", target), op_(op), deferred_(op_, target) {}

  void run(const KernelContext& context) override {
    deferred_.begin(context);
    deferred_.prepare_rates(*context.arguments);
    each_block(context.pool, op_.vocabulary, [&](uint64_t row, uint32_t) { deferred_.catch_up(row); });
  }

 private:
  const Op op_;
  DeferredRows deferred_;
};

// False, with a sentence, for what the plan never makes.
bool serves(const Op& op) {
  if (!op.folded_update || *op.folded_update == OpKind::update_adam) return true;
  (void)fail(Status::unsupported, "%s: an embedding's steps can be put off with Adam alone, not with %s", op.layer.c_str(),
             op_kind_name(*op.folded_update));
  return false;
}

}  // namespace

std::unique_ptr<Kernel> make_embedding(const Program&, const KernelRequest& request, Target target) {
  if (!serves(*request.op)) return nullptr;
  return std::make_unique<Embedding>(*request.op, request, target);
}

std::unique_ptr<Kernel> make_embedding_backward(const Program&, const KernelRequest& request, Target target) {
  if (!serves(*request.op)) return nullptr;
  return std::make_unique<EmbeddingBackward>(*request.op, request, target);
}

std::unique_ptr<Kernel> make_embedding_catch_up(const Program&, const KernelRequest& request, Target target) {
  if (!serves(*request.op)) return nullptr;
  return std::make_unique<EmbeddingCatchUp>(*request.op, target);
}

}  // namespace lt::cpu::highway
