// The forward pass alone: over a split for its statistics, and over the caller's samples for their probabilities.
#include <algorithm>
#include <cinttypes>
#include <cmath>

#include "src/base/clock.h"
#include "src/run/session.h"

namespace lt {

// The forward pass over a split that the host feeds, in the set's own order.
Status Session::evaluate_fed(Split split, Statistics* statistics, double* wait_seconds) {
  const Dataset* dataset = datasets_[static_cast<int>(split)];
  const Program& program = plan_->program;
  const uint32_t count = sample_count(split);
  RunArguments run;
  for (uint32_t first = 0; first < count; first += run.samples) {
    if (stop_.load(std::memory_order_relaxed))
      return fail(Status::stopped, "stopped in an evaluation, after step %" PRIu64, step_);
    run = arguments(std::min(program.micro_batch, count - first), first, count, false);
    for (uint32_t i = 0; i < run.samples; ++i) indices_[i] = place(split, first + i);
    const double before = now_seconds();
    LT_TRY(gather(*dataset, &run));
    *wait_seconds += now_seconds() - before;
    LT_TRY(executor_->run(0, program.forward_end, run));
  }
  LT_TRY(executor_->download(plan_->statistics, 0, statistics, sizeof *statistics));
  return executor_->synchronize();
}

Status Session::evaluate(Split split, Report* report) {
  const Dataset* dataset = datasets_[static_cast<int>(split)];
  LT_TRY(check_trains());
  if (!dataset) return fail(Status::state, "no %s set is bound", split_name(split));
  const double start = now_seconds();
  double wait_seconds = 0;
  const uint32_t count = sample_count(split);
  Statistics statistics;
  if (kept_[static_cast<int>(split)])
    LT_TRY(executor_->evaluate_kept(split, arguments(count, 0, count, false), &statistics));
  else
    LT_TRY(evaluate_fed(split, &statistics, &wait_seconds));
  if (statistics.non_finite != 0)
    return fail(Status::numeric, "evaluation after step %" PRIu64 ": the loss of %" PRIu64 " samples is NaN or infinite",
                step_, statistics.non_finite);
  *report = {};
  report->step = step_;
  report->epoch = epoch_;
  report->samples = count;
  report->loss = statistics.loss_sum / count;
  report->accuracy = static_cast<double>(statistics.correct) / count;
  report->seconds = now_seconds() - start;
  report->data_wait_seconds = wait_seconds;
  if (split == Split::test && epoch_end_ == EpochEnd::reached) {
    epoch_end_ = EpochEnd::evaluated;
    if (best_epoch_ == 0 || report->accuracy > best_test_accuracy_) {
      best_epoch_ = epoch_;
      best_test_accuracy_ = report->accuracy;
    }
  }
  return Status::ok;
}

template <class Fetch>
Status Session::forward_each(uint32_t n, const Fetch& fetch, float* y, size_t floats) {
  const uint32_t outputs = plan_->classes();
  if (floats != uint64_t{n} * outputs)
    return fail(Status::argument, "room for %zu numbers, %u samples of %u outputs have %" PRIu64, floats, n, outputs,
                uint64_t{n} * outputs);
  const Program& program = plan_->program;
  if (program.tensors[plan_->logits].time_steps != 0)
    return fail(Status::unsupported,
                "model %s gives an output for every step: there is no one class of a sample to predict",
                plan_->recipe.name.c_str());
  RunArguments run;
  for (uint32_t first = 0; first < n; first += run.samples) {
    run = arguments(std::min(program.micro_batch, n - first), first, n, false);
    LT_TRY(fetch(first, &run));
    LT_TRY(executor_->run(0, program.forward_end, run));
    LT_TRY(executor_->download(plan_->logits, 0, y + uint64_t{first} * outputs,
                               uint64_t{run.samples} * outputs * sizeof(float)));
    LT_TRY(executor_->synchronize());
  }
  return Status::ok;
}

Status Session::forward(const void* x, uint32_t n, float* y, size_t floats) {
  LT_TRY(check_calibrated());
  const auto fetch = [this, x](uint32_t first, RunArguments* run) {
    run->x = static_cast<const std::byte*>(x) + first * plan_->sample_bytes();
    return check_words(run);
  };
  return forward_each(n, fetch, y, floats);
}

namespace {
// Logits of n samples to probabilities, in place.
void softmax_rows(uint32_t n, uint32_t classes, float* rows) {
  for (float* row = rows; row != rows + uint64_t{n} * classes; row += classes) {
    const double largest = *std::max_element(row, row + classes);
    double sum = 0;
    for (uint32_t c = 0; c < classes; ++c) sum += std::exp(row[c] - largest);
    for (uint32_t c = 0; c < classes; ++c) row[c] = static_cast<float>(std::exp(row[c] - largest) / sum);
  }
}
}  // namespace

Status Session::predict(const void* x, uint32_t n, float* probabilities, size_t floats) {
  LT_TRY(check_trains());
  LT_TRY(forward(x, n, probabilities, floats));
  softmax_rows(n, plan_->classes(), probabilities);
  return Status::ok;
}

Status Session::predict_split(Split split, uint64_t first, uint32_t n, float* probabilities, size_t floats) {
  LT_TRY(check_trains());
  const Dataset* dataset = datasets_[static_cast<int>(split)];
  if (!dataset) return fail(Status::state, "no %s set is bound", split_name(split));
  const uint64_t count = dataset->info().count;
  if (first > count || n > count - first)
    return fail(Status::argument, "samples %" PRIu64 " to %" PRIu64 " asked for, the %s set has %" PRIu64, first, first + n,
                split_name(split), count);
  const auto fetch = [this, dataset, begin = static_cast<uint32_t>(first)](uint32_t done, RunArguments* run) {
    for (uint32_t i = 0; i < run->samples; ++i) indices_[i] = begin + done + i;
    return gather(*dataset, run);
  };
  LT_TRY(forward_each(n, fetch, probabilities, floats));
  softmax_rows(n, plan_->classes(), probabilities);
  return Status::ok;
}

}  // namespace lt
