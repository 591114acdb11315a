// Steps on a training set that the device keeps in its own memory: many at a time, without the host in between.
#include <algorithm>
#include <numeric>

#include "src/base/checked.h"
#include "src/base/clock.h"
#include "src/run/session.h"

namespace lt {

// A device that keeps a set forms its batches unseen: what a batch would be refused for is looked for beforehand.
Status Session::check_kept(const Dataset& dataset) {
  if (plan_->recipe.loss != LossKind::ctc) return Status::ok;
  const auto count = static_cast<uint32_t>(dataset.info().count);
  RunArguments run;
  for (uint32_t first = 0; first < count; first += run.samples) {
    run.samples = std::min(plan_->program.micro_batch, count - first);
    std::iota(indices_.begin(), indices_.begin() + run.samples, first);
    LT_TRY(gather(dataset, &run));
  }
  return Status::ok;
}

Status Session::train_kept(uint64_t most, Report* report) {
  const Course course = this->course();
  const uint32_t left = course.epoch_samples - position_;
  const auto steps = static_cast<uint32_t>(std::min<uint64_t>(most, divide_up(left, course.batch)));
  KeptBatches batches{Split::train, epoch_ + 1, shuffles(), position_, course.batch, steps};
  RunArguments run = arguments(std::min(plan_->program.micro_batch, course.batch), 0, course.batch, true);
  const double start = now_seconds();
  KeptResult result;
  LT_TRY(executor_->train_kept(batches, run, &result));
  step_ += result.steps;
  const uint32_t samples = static_cast<uint32_t>(std::min<uint64_t>(left, uint64_t{result.steps} * course.batch));
  const double seconds = now_seconds() - start;
  take_in(result.sum, samples, seconds, 0);
  if (result.steps < steps) {
    // The step after those that went well: its last micro-batch is run again, to find the operation.
    position_ += samples;
    const uint32_t failed = std::min(course.batch, course.epoch_samples - position_);
    const uint32_t last = (failed - 1) / plan_->program.micro_batch * plan_->program.micro_batch;
    batches.position = position_;
    run = arguments(failed - last, last, failed, true);
    run.kept = &batches;
    return report_non_finite(run);
  }
  finish_report(result.last, samples - (result.steps - 1) * course.batch, result.steps, seconds, 0, report);
  finish_place(course, samples, report);
  return Status::ok;
}

}  // namespace lt
