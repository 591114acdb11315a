// The session's checkpoints: what there is to say of its place in the training, and the way back to it.
#include <cinttypes>
#include <cstring>

#include "src/base/digest.h"
#include "src/run/checkpoint.h"
#include "src/run/session.h"

namespace lt {

TrainingPlace Session::training_place() const {
  TrainingPlace place;
  place.step = step_;
  place.epoch = epoch_;
  place.position = position_;
  place.epoch_end = epoch_end_;
  place.epoch_samples = epoch_sums_.epoch_samples;
  place.epoch_correct = static_cast<uint64_t>(epoch_correct_);
  place.epoch_loss_sum = epoch_loss_sum_;
  place.best_epoch = best_epoch_;
  place.best_test_accuracy = best_test_accuracy_;
  return place;
}

// The name and hash of the bound training set, found out once: that reads all of it.
Status Session::know_data() {
  if (!datasets_[0] || !data_.hash.empty()) return Status::ok;
  uint8_t hash[16];
  char digits[digest_digits + 1] = {};
  LT_TRY(datasets_[0]->hash(hash));
  digest_text(hash, digits);
  data_.hash = digits;
  data_.name = datasets_[0]->info().name;
  data_.vocabulary_hash = datasets_[0]->info().vocabulary_hash;
  return Status::ok;
}

Status Session::save_to(const char* path, uint32_t keep) {
  LT_TRY(check_trains());
  if (keep > checkpoints_kept_most)
    return fail(Status::argument, "%u older checkpoints: at most %u are kept", keep, checkpoints_kept_most);
  saver_.reset();  // and its lock
  auto saver = std::make_unique<CheckpointWriter>(*plan_);
  LT_TRY(saver->prepare(path, keep));
  saver_ = std::move(saver);
  // A checkpoint allocates nothing.
  data_.name.reserve(checkpoint_name_most);
  data_.hash.reserve(digest_digits);
  data_.vocabulary_hash.reserve(digest_digits);
  return Status::ok;
}

Status Session::checkpoint() {
  if (!saver_) return fail(Status::state, "no file is named for checkpoints");
  LT_TRY(know_data());
  LT_TRY(bring_up_to_date());
  return saver_->write(executor_.get(), training_place(), data_);
}

Status Session::checkpoint_finish() { return saver_ ? saver_->finish() : Status::ok; }

Status Session::save(const char* path) {
  LT_TRY(check_trains());
  CheckpointWriter writer(*plan_);
  LT_TRY(writer.prepare(path, 0));
  LT_TRY(know_data());
  LT_TRY(bring_up_to_date());
  LT_TRY(writer.write(executor_.get(), training_place(), data_));
  return writer.finish();
}

Status Session::load(const char* path) {
  LT_TRY(check_trains());
  LT_TRY(know_data());
  TrainingPlace place;
  LT_TRY(checkpoint_load(path, *plan_, data_, datasets_[0] ? course().epoch_samples : 0, executor_.get(), &place));
  step_ = place.step;
  epoch_ = place.epoch;
  position_ = place.position;
  epoch_end_ = place.epoch_end;
  epoch_sums_ = {};
  epoch_sums_.epoch_samples = place.epoch_samples;
  epoch_correct_ = static_cast<double>(place.epoch_correct);
  epoch_loss_sum_ = place.epoch_loss_sum;
  best_epoch_ = place.best_epoch;
  best_test_accuracy_ = place.best_test_accuracy;
  pushed_ = 0;
  return Status::ok;
}

void Session::place(Report* report, bool* evaluated) const {
  const auto samples = static_cast<double>(epoch_sums_.epoch_samples);
  *report = epoch_sums_;
  report->step = step_;
  report->epoch_loss = samples > 0 ? epoch_loss_sum_ / samples : 0;
  report->epoch_accuracy = samples > 0 ? epoch_correct_ / samples : 0;
  *evaluated = epoch_end_ == EpochEnd::evaluated;
  if (!datasets_[0]) return;
  const Course course = this->course();
  const bool ended = epoch_end_ != EpochEnd::no;
  report->epoch = ended ? epoch_ : epoch_ + 1;
  report->batches = (course.epoch_samples + course.batch - 1) / course.batch;
  report->batch = ended ? report->batches : (position_ + course.batch - 1) / course.batch;
}

}  // namespace lt
