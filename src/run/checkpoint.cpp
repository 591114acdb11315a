// Writing checkpoints; the format stands in checkpoint.h.
#include "src/run/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <nlohmann/json.hpp>

#include "src/base/checked.h"
#include "src/base/safetensors_checksum.h"

namespace lt {
namespace {

using nlohmann::json;

constexpr uint64_t rows_bytes_least = 256 << 10, read_back_bytes = 64 << 10;
constexpr char opening[] = "{\"__metadata__\":{";
constexpr uint64_t digits_offset = 8 + (sizeof opening - 1) + (sizeof checksum_key - 1);
constexpr size_t varying_bytes = 640;  // most that Varying writes: names of at most 31 bytes, numbers of at most 24

// Puts the changing texts of the metadata into a buffer that is long enough for all of them.
class Varying {
 public:
  explicit Varying(char* at) : at_(at) {}
  void text(const char* key, const char* value) {
    put(",\"");
    put(key);
    put("\":\"");
    put(value);
    put("\"");
  }
  template <class Number>
  void number(const char* key, Number value) {
    char digits[40] = {};
    std::to_chars(digits, digits + sizeof digits - 1, value);  // of a double the shortest that reads back to it
    text(key, digits);
  }
  char* end() const { return at_; }

 private:
  void put(const char* text) {
    const size_t length = std::strlen(text);
    std::memcpy(at_, text, length);
    at_ += length;
  }
  char* at_;
};

const char* epoch_end_name(EpochEnd end) {
  return end == EpochEnd::no ? "no" : end == EpochEnd::reached ? "reached" : "evaluated";
}

const char* truth(bool value) { return value ? "true" : "false"; }

}  // namespace

std::vector<CheckpointTensor> checkpoint_tensors(const Plan& plan) {
  std::vector<CheckpointTensor> tensors;
  for (const Parameter& parameter : plan.parameters) tensors.push_back({parameter.name, &parameter, {parameter.tensor, 0}});
  const std::vector<Tensor>& all = plan.program.tensors;
  const bool momentum = plan.recipe.optimizer == OptimizerKind::momentum;
  for (const Parameter& parameter : plan.parameters) {
    // A parameter has the same place in its block and in those of the state.
    const uint64_t offset = all[parameter.tensor].offset - all[plan.parameter_block].offset;
    const std::string name = optimizer_prefix + parameter.name;
    if (plan.state_block != no_tensor)
      tensors.push_back({name + (momentum ? ".momentum_buffer" : ".exp_avg"), &parameter, {plan.state_block, offset}});
    if (plan.state2_block != no_tensor) tensors.push_back({name + ".exp_avg_sq", &parameter, {plan.state2_block, offset}});
  }
  return tensors;
}

std::string checkpoint_recipe(const Recipe& recipe) {
  std::string text = recipe_write(recipe);
  constexpr char key[] = "\nepochs = ";
  const size_t at = text.find(key);
  return text.erase(at, text.find('\n', at + 1) - at);
}

CheckpointWriter::~CheckpointWriter() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Status CheckpointWriter::prepare(const char* path, uint32_t keep) {
  LT_TRY(file_.prepare(path, keep));
  LT_TRY(lock_.take(file_.path()));
  // What a failure would say at the first save is said now.
  LT_TRY(file_.begin());
  file_.discard();
  tensors_ = checkpoint_tensors(plan_);
  head_ = std::string(opening) + checksum_key + std::string(digest_digits, '0') + "\"";
  const auto text = [this](const char* key, const std::string& value) {
    head_ += std::string(",\"") + key + "\":" + json(value).dump(-1, ' ', false, json::error_handler_t::replace);
  };
  text("format", "pt");
  text("lean_train", checkpoint_version);
  text("model", plan_.recipe.name);
  text("recipe", checkpoint_recipe(plan_.recipe));
  text("precision", precision_name(plan_.precision));
  text("seed", std::to_string(plan_.seed));
  text("shuffle", truth(plan_.shuffle));
  text("dropout", truth(plan_.dropout));
  if (plan_.skip_bad) text("skip_bad", truth(true));
  tail_ = "}";
  uint64_t at = 0, row_longest = 0;
  for (const CheckpointTensor& tensor : tensors_) {
    const uint64_t bytes = tensor.parameter->elements() * sizeof(float);
    tail_ += "," + json(tensor.name).dump() + ":" +
             json{{"dtype", "F32"}, {"shape", tensor.parameter->dims}, {"data_offsets", {at, at + bytes}}}.dump();
    at += bytes;
    row_longest = std::max(row_longest, row_elements(*tensor.parameter));
  }
  tail_ += "}";
  // The tensors start at a multiple of 64 bytes, so that a reader may use them in place.
  header_.resize(align_up(8 + head_.size() + varying_bytes + tail_.size(), 64));
  file_bytes_ = header_.size() + at;
  rows_.resize(std::max(rows_bytes_least / sizeof(float), row_longest));
  read_back_.resize(read_back_bytes);
  thread_ = std::thread([this] { run_thread(); });
  return Status::ok;
}

void CheckpointWriter::compose_header(const TrainingPlace& place, const TrainingData& data) {
  const uint64_t length = header_.size() - 8;
  for (int i = 0; i < 8; ++i) header_[static_cast<size_t>(i)] = static_cast<char>(length >> (8 * i));
  std::memcpy(header_.data() + 8, head_.data(), head_.size());
  Varying varying(header_.data() + 8 + head_.size());
  varying.text("data", data.name.c_str());
  varying.text("data_hash", data.hash.c_str());
  varying.text("vocabulary_hash", data.vocabulary_hash.c_str());
  varying.number("step", place.step);
  varying.number("epoch", place.epoch);
  varying.number("position", place.position);
  varying.text("epoch_end", epoch_end_name(place.epoch_end));
  varying.number("epoch_samples", place.epoch_samples);
  varying.number("epoch_loss_sum", place.epoch_loss_sum);
  varying.number("epoch_correct", place.epoch_correct);
  varying.number("best_epoch", place.best_epoch);
  varying.number("best_test_accuracy", place.best_test_accuracy);
  char* const tail = varying.end();
  std::memcpy(tail, tail_.data(), tail_.size());
  std::memset(tail + tail_.size(), ' ', static_cast<size_t>(header_.data() + header_.size() - tail) - tail_.size());
}

Status CheckpointWriter::write_tensor(Executor* executor, const CheckpointTensor& tensor, Digest* digest) {
  const Parameter& parameter = *tensor.parameter;
  const uint64_t row = row_elements(parameter);
  const uint64_t most = std::min(weight_rows_max, rows_.size() / row);
  for (uint64_t first = 0; first < parameter.out; first += most) {
    const uint64_t n = std::min(most, parameter.out - first);
    LT_TRY(weights_read_rows(plan_, parameter, tensor.place, first, n, executor, rows_.data()));
    digest->update(rows_.data(), n * row * sizeof(float));
    LT_TRY(file_.write(rows_.data(), n * row * sizeof(float)));
  }
  return Status::ok;
}

Status CheckpointWriter::write_file(Executor* executor, const TrainingPlace& place, const TrainingData& data) {
  LT_TRY(executor->synchronize());
  LT_TRY(file_.begin());
  compose_header(place, data);
  Digest digest;
  digest.update(header_.data(), header_.size());
  LT_TRY(file_.write(header_.data(), header_.size()));
  for (const CheckpointTensor& tensor : tensors_) LT_TRY(write_tensor(executor, tensor, &digest));
  uint8_t sum[16];
  digest.finish(sum);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    digest_text(sum, digits_);
    pending_ = true;
  }
  changed_.notify_all();
  return Status::ok;
}

Status CheckpointWriter::write(Executor* executor, const TrainingPlace& place, const TrainingData& data) {
  if (data.name.size() > checkpoint_name_most || data.hash.size() > digest_digits ||
      data.vocabulary_hash.size() > digest_digits)
    return fail(Status::internal, "the data's name \"%s\" is longer than a checkpoint takes", data.name.c_str());
  const Status before = finish();
  char error[error_text_bytes];
  if (!ok(before)) std::memcpy(error, error_, sizeof error);
  const Status status = write_file(executor, place, data);
  if (!ok(status)) file_.discard();
  return ok(status) && !ok(before) ? fail(before, "%s", error) : status;
}

Status CheckpointWriter::finish() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return !pending_; });
  const Status status = std::exchange(settled_, Status::ok);
  return ok(status) ? status : fail(status, "%s", error_);
}

// What was written is read again, holds the checksum, and only then bears it and the name.
Status CheckpointWriter::settle() {
  Digest digest;
  for (uint64_t at = 0; at < file_bytes_;) {
    const auto n = static_cast<size_t>(std::min<uint64_t>(read_back_.size(), file_bytes_ - at));
    LT_TRY(file_.read_at(at, read_back_.data(), n));
    digest.update(read_back_.data(), n);
    at += n;
  }
  uint8_t sum[16];
  char digits[digest_digits];
  digest.finish(sum);
  digest_text(sum, digits);
  if (std::memcmp(digits, digits_, sizeof digits) != 0) {
    file_.discard();
    return fail(Status::io, "%s: what was written reads back otherwise; the file is as it was before",
                file_.path().c_str());
  }
  LT_TRY(file_.write_at(digits_offset, digits_, sizeof digits_));
  return file_.commit();
}

void CheckpointWriter::run_thread() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return pending_ || closing_; });
    if (!pending_) return;
    // The session's thread waits in finish() before it touches the file again.
    lock.unlock();
    const Status status = settle();
    lock.lock();
    settled_ = status;
    if (!ok(status)) std::memcpy(error_, last_error(), std::min(sizeof error_, std::strlen(last_error()) + 1));
    pending_ = false;
    changed_.notify_all();
  }
}

}  // namespace lt
