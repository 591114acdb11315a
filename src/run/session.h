// A training in progress: the region with its parameters, the place in the data, and the step. Owns the region unless the
// caller handed one in. Used by one thread at a time, `request_stop` apart. From the second step on nothing here allocates
// but `save`, `save_to` and loading.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "src/backend.h"
#include "src/base/status.h"
#include "src/dataset.h"
#include "src/plan/plan.h"
#include "src/run/checkpoint.h"
#include "src/run/region.h"

namespace lt {

inline constexpr uint32_t checkpoints_kept_most = 1000;

// What a step or an evaluation came to; the fields of lt_report.
struct Report {
  uint64_t step = 0, epoch = 0, batch = 0, batches = 0;
  uint32_t samples = 0, steps = 0;
  double loss = 0, accuracy = 0, seconds = 0, data_wait_seconds = 0;
  uint64_t epoch_samples = 0;
  double epoch_loss = 0, epoch_accuracy = 0, epoch_seconds = 0, epoch_data_wait_seconds = 0;
};

const char* split_name(Split split);

class Session {
 public:
  // arena: null, or `bytes` bytes aligned to region_alignment that outlive the session.
  static Status create(std::shared_ptr<const Plan> plan, void* arena, size_t bytes, std::unique_ptr<Session>* session);

  const Plan& plan() const { return *plan_; }
  Status bind(Split split, const Dataset* dataset);
  // Samples of a bound set that are left out (PlanRequest::skip_bad), and the first one's place there.
  struct Skipped {
    uint64_t count, first;
  };
  Skipped skipped(Split split) const { return skipped_[static_cast<int>(split)]; }
  Status step(Report* report);
  // Up to `most` steps, not past the end of the epoch: as many as the device takes at a time, one where the host feeds it.
  Status advance(uint64_t most, Report* report);
  // Steps to the end of the epoch, `most` or fewer at a time, and calls event(report) after each time; Status::stopped,
  // with the report, where asked to stop.
  template <class Event>
  Status epoch(uint64_t most, Report* report, const Event& event) {
    do {
      LT_TRY(advance(most, report));
      event(*report);
      if (stop_.exchange(false, std::memory_order_relaxed))
        return fail(Status::stopped, "stopped after step %llu", static_cast<unsigned long long>(step_));
    } while (report->batch != report->batches);
    return Status::ok;
  }
  Status step_on(const void* x, const uint8_t* labels, uint32_t n, Report* report);
  Status push(const void* x, uint8_t label, Report* report);
  Status flush(Report* report);
  Status evaluate(Split split, Report* report);
  Status predict(const void* x, uint32_t n, float* probabilities, size_t floats);
  Status predict_split(Split split, uint64_t first, uint32_t n, float* probabilities, size_t floats);
  // int8: finds the activations' scales by the forward pass in floats on these samples, in an arena of its own; before the
  // first `forward`, and again after weights changed.
  Status calibrate(const void* x, uint32_t n);
  // The outputs as they are.
  Status forward(const void* x, uint32_t n, float* y, size_t floats);

  const Parameter* parameter(const char* name) const;
  Status read(const char* name, float* values, size_t floats);
  Status write(const char* name, const float* values, size_t floats);
  // Parameters and their state as they are after the last step: before they are read or written.
  Status bring_up_to_date();
  // A checkpoint (checkpoint.h), durable when this returns.
  Status save(const char* path);
  // One after the other at the same path, the `keep` ones before the last beside it: CheckpointWriter's prepare, write,
  // finish.
  Status save_to(const char* path, uint32_t keep);
  Status checkpoint();
  Status checkpoint_finish();
  // Goes on from a checkpoint of the same training: after its data set was bound.
  Status load(const char* path);
  // The report of the last step as far as it is known after a load; whether the test set was gone over since.
  void place(Report* report, bool* evaluated) const;
  Status load_weights(const char* path, uint32_t* ignored);

  void request_stop() { stop_.store(true, std::memory_order_relaxed); }

 private:
  explicit Session(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}
  TrainingPlace training_place() const;
  Status know_data();
  RunArguments arguments(uint32_t samples, uint32_t sample_offset, uint32_t batch_samples, bool training) const;
  template <class Fetch>
  Status train_batch(uint32_t n, const Fetch& fetch, Report* report);
  // Where the next step stands in the data: samples of a step and of an epoch, of the bound training set.
  struct Course {
    uint32_t count, batch, epoch_samples;
  };
  Course course() const;
  // A batch of all samples is the same in any order, and read fastest in the file's.
  bool shuffles() const { return plan_->shuffle && plan_->recipe.batch != 0; }
  Status find_bad(Split split, const Dataset& dataset);
  // Samples of a bound set that are not left out, and where the k-th of them stands in the set.
  uint32_t sample_count(Split split) const;
  uint32_t place(Split split, uint32_t k) const;
  Status read_samples(const Dataset& dataset, RunArguments* run);
  Status gather(const Dataset& dataset, RunArguments* run);  // and checked
  Status check_kept(const Dataset& dataset);
  Status check_trains() const;
  Status check_calibrated() const;
  Status check_label_bytes() const;
  Status check_words(RunArguments* run);
  Status train_kept(uint64_t most, Report* report);
  // The outputs for n samples; fetch(first, &arguments) provides those of each micro-batch.
  template <class Fetch>
  Status forward_each(uint32_t n, const Fetch& fetch, float* y, size_t floats);
  Status evaluate_fed(Split split, Statistics* statistics, double* wait_seconds);
  void begin_pass();
  void take_in(const Statistics& sum, uint64_t samples, double seconds, double wait_seconds);
  void finish_place(const Course& course, uint32_t samples, Report* report);
  Status labels_from_bytes(const uint8_t* labels, uint32_t n, int slot);
  Status step_pushed(Report* report);
  Status report_non_finite(const RunArguments& last);
  Status check_values(TensorId tensor, uint64_t elements, bool* finite);
  void finish_report(const Statistics& last, uint32_t samples, uint32_t steps, double seconds, double wait_seconds,
                     Report* report);

  std::shared_ptr<const Plan> plan_;
  Region region_;
  std::unique_ptr<Executor> executor_;
  const Dataset* datasets_[2] = {nullptr, nullptr};
  bool kept_[2] = {false, false};  // by the device, in its own memory
  Skipped skipped_[2] = {};
  std::vector<uint32_t> places_[2];  // of the samples that are not left out; empty: all stay
  std::vector<uint32_t> indices_;    // of one micro-batch
  uint64_t step_ = 0;
  uint64_t epoch_ = 0;     // finished passes over the training set
  uint32_t position_ = 0;  // samples of this pass already used
  uint32_t pushed_ = 0;    // samples waiting in slot 1
  EpochEnd epoch_end_ = EpochEnd::no;
  Report epoch_sums_;  // the epoch_* fields so far; kept after a pass until the next step
  double epoch_correct_ = 0, epoch_loss_sum_ = 0;
  uint64_t best_epoch_ = 0;  // after which the test set was answered best; 0: none yet
  double best_test_accuracy_ = 0;
  TrainingData data_;  // of the bound training set, once it is known
  std::unique_ptr<CheckpointWriter> saver_;
  bool calibrated_ = false;  // int8: with the weights as they are
  std::atomic<bool> stop_{false};
};

}  // namespace lt
