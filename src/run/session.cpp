#include "src/run/session.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>

#include "src/base/checked.h"
#include "src/base/clock.h"
#include "src/base/shuffle.h"
#include "src/run/label_lists.h"
#include "src/run/weights.h"

namespace lt {
namespace {

const char* dtype_name(DType type) {
  switch (type) {
    case DType::f32: return "f32";
    case DType::u8: return "u8";
    case DType::i32: return "i32";
    case DType::bf16: return "bf16";
  }
  return "";
}

// "1 x 28 x 28 (channels x rows x columns)", "1000 x 123 (steps x features)"
std::string extent_text(const Extent& extent, bool sequence) {
  const auto text = [](uint32_t n) { return std::to_string(n); };
  if (sequence) return text(extent.height) + " x " + text(extent.channels) + " (steps x features)";
  return text(extent.channels) + " x " + text(extent.height) + " x " + text(extent.width) + " (channels x rows x columns)";
}

// Data sets have the features of a sequence as columns.
Status check_samples(const DatasetInfo& info, const Recipe& recipe) {
  Extent found = info.extent;
  if (recipe.sequences) found = {found.height, found.channels, found.width};
  if (found != recipe.input)
    return fail(Status::mismatch, "%s has samples of %s, model %s takes %s", info.name,
                extent_text(recipe.sequences ? found : info.extent, recipe.sequences && found.width == 1).c_str(),
                recipe.name.c_str(), extent_text(recipe.input, recipe.sequences).c_str());
  if (info.x_dtype != recipe.input_type)
    return fail(Status::mismatch, "%s has samples of %s, model %s takes %s ([input] type)", info.name,
                dtype_name(info.x_dtype), recipe.name.c_str(), dtype_name(recipe.input_type));
  if (info.vocabulary > recipe.vocabulary)
    return fail(Status::mismatch, "%s has a vocabulary of %u words, model %s one of %u", info.name, info.vocabulary,
                recipe.name.c_str(), recipe.vocabulary);
  if (info.label_count != recipe.labels)
    return fail(Status::mismatch, "%s has %u label%s a sample, model %s takes %u ([training] loss and labels)", info.name,
                info.label_count, info.label_count == 1 ? "" : "s", recipe.name.c_str(), recipe.labels);
  return Status::ok;
}

bool are_consecutive(const uint32_t* indices, uint32_t n) {
  for (uint32_t i = 1; i < n; ++i)
    if (indices[i] != indices[0] + i) return false;
  return true;
}

}  // namespace

const char* split_name(Split split) { return split == Split::train ? "training" : "test"; }

Status Session::create(std::shared_ptr<const Plan> plan, void* arena, size_t bytes, std::unique_ptr<Session>* session) {
  const uint64_t needed_bytes = plan->program.region_bytes;
  if (arena && bytes < needed_bytes)
    return fail(Status::memory,
                "the arena has %zu bytes, %s needs %" PRIu64 "; largest micro-batch that fits: %u of %u samples", bytes,
                plan->recipe.name.c_str(), needed_bytes, plan_largest_micro_batch(*plan, bytes), plan->program.micro_batch);
  std::unique_ptr<Session> result(new Session(std::move(plan)));
  const Plan& p = *result->plan_;
  auto* region = static_cast<std::byte*>(arena);
  if (p.device->host_regions()) {
    LT_TRY(arena ? result->region_.adopt(arena, bytes, needed_bytes) : result->region_.reserve(needed_bytes));
    region = result->region_.bytes();
  }
  LT_TRY(p.device->attach(p.program, region, &result->executor_));
  for (uint32_t i = 0; i < p.parameters.size(); ++i) LT_TRY(weights_initialize(p, i, result->executor_.get()));
  result->indices_.resize(p.program.micro_batch);
  *session = std::move(result);
  return Status::ok;
}

Status Session::bind(Split split, const Dataset* dataset) {
  const DatasetInfo& info = dataset->info();
  const Recipe& recipe = plan_->recipe;
  if (split == Split::train) LT_TRY(check_trains());
  LT_TRY(check_samples(info, recipe));
  if (info.classes > plan_->classes())
    return fail(Status::mismatch, "%s has %u classes, model %s has %u outputs", info.name, info.classes,
                recipe.name.c_str(), plan_->classes());
  if (info.count == 0 || info.count > recipe_max_elements)
    return fail(Status::mismatch, "the %s set of %s has %" PRIu64 " samples, expected 1 to %" PRIu64, split_name(split),
                info.name, info.count, recipe_max_elements);
  if (split == Split::train && recipe.drop_last_batch && info.count < recipe.batch)
    return fail(Status::mismatch,
                "the training set of %s has %" PRIu64 " samples, model %s trains on whole batches of %u alone (last_batch)",
                info.name, info.count, recipe.name.c_str(), recipe.batch);
  bool& kept = kept_[static_cast<int>(split)];
  datasets_[static_cast<int>(split)] = nullptr;
  LT_TRY(find_bad(split, *dataset));
  // A set of which some are left out is fed by the host, who knows which.
  kept = false;
  if (skipped(split).count == 0) LT_TRY(executor_->keep(split, *dataset, &kept));
  if (kept) {
    const Status status = check_kept(*dataset);
    kept = ok(status);
    LT_TRY(status);
  }
  datasets_[static_cast<int>(split)] = dataset;
  if (split == Split::train) {
    position_ = 0;
    begin_pass();
    data_ = {};
  }
  return Status::ok;
}

uint32_t Session::sample_count(Split split) const {
  const size_t at = static_cast<size_t>(split);
  return static_cast<uint32_t>(datasets_[at]->info().count - skipped_[at].count);
}

uint32_t Session::place(Split split, uint32_t k) const {
  const std::vector<uint32_t>& places = places_[static_cast<size_t>(split)];
  return places.empty() ? k : places[k];
}

RunArguments Session::arguments(uint32_t samples, uint32_t sample_offset, uint32_t batch_samples, bool training) const {
  RunArguments result;
  result.samples = samples;
  result.sample_offset = sample_offset;
  result.batch_samples = batch_samples;
  result.training = training;
  result.accumulate = sample_offset > 0;
  result.seed = plan_->seed;
  result.step = step_ + 1;
  result.dropout = plan_->dropout;
  const Recipe& recipe = plan_->recipe;
  result.learning_rate = static_cast<float>(recipe.lr);
  result.momentum = static_cast<float>(recipe.momentum);
  result.beta1 = static_cast<float>(recipe.beta1);
  result.beta2 = static_cast<float>(recipe.beta2);
  result.epsilon = static_cast<float>(recipe.epsilon);
  return result;
}

// One step on n samples, in micro-batches; fetch(first, count, &arguments) provides x and labels of each.
template <class Fetch>
Status Session::train_batch(uint32_t n, const Fetch& fetch, Report* report) {
  const double start = now_seconds();
  double wait_seconds = 0;
  const Program& program = plan_->program;
  RunArguments run;
  for (uint32_t first = 0; first < n; first += run.samples) {
    run = arguments(std::min(program.micro_batch, n - first), first, n, true);
    const double before = now_seconds();
    LT_TRY(fetch(first, run.samples, &run));
    wait_seconds += now_seconds() - before;
    const bool last = first + run.samples == n;
    LT_TRY(executor_->run(0, last ? program.step_end : program.backward_end, run));
  }
  Statistics statistics;
  LT_TRY(executor_->download(plan_->statistics, 0, &statistics, sizeof statistics));
  LT_TRY(executor_->synchronize());
  if (statistics.non_finite != 0) return report_non_finite(run);
  ++step_;
  const double seconds = now_seconds() - start;
  take_in(statistics, n, seconds, wait_seconds);
  finish_report(statistics, n, 1, seconds, wait_seconds, report);
  return Status::ok;
}

void Session::begin_pass() {
  epoch_end_ = EpochEnd::no;
  epoch_sums_ = {};
  epoch_correct_ = epoch_loss_sum_ = 0;
}

// Adds steps to the epoch's sums.
void Session::take_in(const Statistics& sum, uint64_t samples, double seconds, double wait_seconds) {
  if (samples == 0) return;
  if (epoch_end_ != EpochEnd::no) begin_pass();
  epoch_sums_.epoch_samples += samples;
  epoch_loss_sum_ += sum.loss_sum;
  epoch_correct_ += static_cast<double>(sum.correct);
  epoch_sums_.epoch_seconds += seconds;
  epoch_sums_.epoch_data_wait_seconds += wait_seconds;
}

void Session::finish_report(const Statistics& last, uint32_t samples, uint32_t steps, double seconds, double wait_seconds,
                            Report* report) {
  const auto epoch_samples = static_cast<double>(epoch_sums_.epoch_samples);
  *report = epoch_sums_;
  report->step = step_;
  report->steps = steps;
  report->samples = samples;
  report->loss = last.loss_sum / samples;
  report->accuracy = static_cast<double>(last.correct) / samples;
  report->seconds = seconds;
  report->data_wait_seconds = wait_seconds;
  report->epoch_loss = epoch_loss_sum_ / epoch_samples;
  report->epoch_accuracy = epoch_correct_ / epoch_samples;
}

Session::Course Session::course() const {
  const uint32_t count = sample_count(Split::train);
  const uint32_t batch = plan_->recipe.batch == 0 ? count : plan_->recipe.batch;
  return {count, batch, plan_->recipe.drop_last_batch ? count - count % batch : count};
}

// Moves on by steps of `samples` samples in all, and says where the last one stood.
void Session::finish_place(const Course& course, uint32_t samples, Report* report) {
  position_ += samples;
  report->epoch = epoch_ + 1;
  report->batch = divide_up(position_, course.batch);
  report->batches = divide_up(course.epoch_samples, course.batch);
  if (position_ < course.epoch_samples) return;
  ++epoch_;
  position_ = 0;
  epoch_end_ = EpochEnd::reached;
}

// The samples indices_[0, run->samples) of the data set, in slot 0 or where they lie.
Status Session::read_samples(const Dataset& dataset, RunArguments* run) {
  std::byte* const x = executor_->staging(plan_->slot_x[0]);
  auto* const labels = reinterpret_cast<int32_t*>(executor_->staging(plan_->slot_labels[0]));
  run->x = nullptr;
  if (are_consecutive(indices_.data(), run->samples))
    LT_TRY(dataset.view(indices_[0], run->samples, &run->x, labels));
  if (run->x == nullptr) {
    LT_TRY(dataset.read(indices_.data(), run->samples, x, labels));
    run->x = x;
  }
  run->labels = labels;
  if (plan_->slot_lengths != no_tensor && dataset.info().has_lengths) {
    auto* const lengths = reinterpret_cast<uint32_t*>(executor_->staging(plan_->slot_lengths));
    run->lengths = lengths;
    LT_TRY(dataset.lengths(indices_.data(), run->samples, lengths));
  }
  return Status::ok;
}

Status Session::gather(const Dataset& dataset, RunArguments* run) {
  LT_TRY(read_samples(dataset, run));
  return check_label_lists(plan_->recipe, plan_->classes(), dataset.info().name, indices_.data(), *run);
}

Status Session::step(Report* report) {
  const Dataset* dataset = datasets_[0];
  if (!dataset) return fail(Status::state, "no training set is bound");
  if (kept_[0]) return train_kept(1, report);
  const Course course = this->course();
  const uint32_t n = std::min(course.batch, course.epoch_samples - position_);
  const Shuffle shuffle(plan_->seed, epoch_ + 1, course.count);
  const bool shuffled = shuffles();
  LT_TRY(train_batch(
      n,
      [&](uint32_t first, uint32_t samples, RunArguments* run) {
        for (uint32_t i = 0; i < samples; ++i) {
          const uint32_t at = position_ + first + i;
          indices_[i] = place(Split::train, shuffled ? shuffle.at(at) : at);
        }
        return gather(*dataset, run);
      },
      report));
  finish_place(course, n, report);
  return Status::ok;
}

Status Session::advance(uint64_t most, Report* report) {
  if (most == 0) return fail(Status::argument, "no step is asked for");
  if (!datasets_[0]) return fail(Status::state, "no training set is bound");
  return kept_[0] ? train_kept(most, report) : step(report);
}

// Checks n labels and widens them into a slot.
Status Session::labels_from_bytes(const uint8_t* labels, uint32_t n, int slot) {
  auto* const widened = reinterpret_cast<int32_t*>(executor_->staging(plan_->slot_labels[slot]));
  for (uint32_t i = 0; i < n; ++i) {
    if (labels[i] >= plan_->classes())
      return fail(Status::argument, "label %u of sample %u: the model has classes 0 to %u", labels[i], i,
                  plan_->classes() - 1);
    widened[i] = labels[i];
  }
  return Status::ok;
}

// Against what a model for inference has not: a loss, and anything to save but what was loaded.
Status Session::check_trains() const {
  if (!plan_->program.inference) return Status::ok;
  return fail(Status::state, "model %s is for inference alone ([inference] in its recipe): its outputs can be computed",
              plan_->recipe.name.c_str());
}

// Bytes are labels of one class a sample.
Status Session::check_label_bytes() const {
  LT_TRY(check_trains());
  if (plan_->recipe.labels == 1) return Status::ok;
  return fail(Status::state, "model %s takes %u labels a sample: give them by a data set", plan_->recipe.name.c_str(),
              plan_->recipe.labels);
}

// A caller's own words, which are indices: below the vocabulary, and as many as there are in front of the last zeros.
Status Session::check_words(RunArguments* run) {
  const Recipe& recipe = plan_->recipe;
  if (recipe.vocabulary == 0) return Status::ok;
  const auto* const words = static_cast<const int32_t*>(run->x);
  const uint32_t steps = recipe.input.height;
  auto* const lengths =
      plan_->slot_lengths == no_tensor ? nullptr : reinterpret_cast<uint32_t*>(executor_->staging(plan_->slot_lengths));
  for (uint32_t sample = 0; sample < run->samples; ++sample) {
    uint32_t length = 1;
    for (uint32_t t = 0; t < steps; ++t) {
      const int32_t word = words[sample * uint64_t{steps} + t];
      if (word < 0 || static_cast<uint32_t>(word) >= recipe.vocabulary)
        return fail(Status::argument, "word %u of sample %u is %d: the model has words 0 to %u", t,
                    run->sample_offset + sample, word, recipe.vocabulary - 1);
      if (word != 0) length = t + 1;
    }
    if (lengths != nullptr) lengths[sample] = length;
  }
  run->lengths = lengths;
  return Status::ok;
}

Status Session::step_on(const void* x, const uint8_t* labels, uint32_t n, Report* report) {
  const Recipe& recipe = plan_->recipe;
  LT_TRY(check_label_bytes());
  if (n == 0 || (recipe.batch != 0 && n > recipe.batch))
    return fail(Status::argument, "a batch of %u samples; the plan takes 1 to %u", n, recipe.batch);
  const auto* const samples_x = static_cast<const std::byte*>(x);
  const auto* const slot_labels = reinterpret_cast<const int32_t*>(executor_->staging(plan_->slot_labels[0]));
  return train_batch(
      n,
      [&](uint32_t first, uint32_t samples, RunArguments* run) {
        run->x = samples_x + first * plan_->sample_bytes();
        run->labels = slot_labels;
        LT_TRY(check_words(run));
        return labels_from_bytes(labels + first, samples, 0);
      },
      report);
}

Status Session::push(const void* x, uint8_t label, Report* report) {
  LT_TRY(check_label_bytes());
  if (plan_->recipe.batch == 0)
    return fail(Status::state, "model %s takes the whole training set as one batch: give it by a data set or in one call",
                plan_->recipe.name.c_str());
  if (label >= plan_->classes())
    return fail(Status::argument, "label %u: the model has classes 0 to %u", label, plan_->classes() - 1);
  const uint64_t sample_bytes = plan_->sample_bytes();
  __builtin_memcpy(executor_->staging(plan_->slot_x[1]) + pushed_ * sample_bytes, x, sample_bytes);
  reinterpret_cast<int32_t*>(executor_->staging(plan_->slot_labels[1]))[pushed_] = label;
  if (++pushed_ == plan_->recipe.batch) return step_pushed(report);
  *report = {};
  report->step = step_;
  return Status::ok;
}

Status Session::flush(Report* report) {
  if (pushed_ > 0) return step_pushed(report);
  *report = {};
  report->step = step_;
  return Status::ok;
}

// The pushed examples are used up, whether the step succeeds or not.
Status Session::step_pushed(Report* report) {
  const uint32_t n = pushed_;
  pushed_ = 0;
  const std::byte* const x = executor_->staging(plan_->slot_x[1]);
  const auto* const labels = reinterpret_cast<const int32_t*>(executor_->staging(plan_->slot_labels[1]));
  return train_batch(
      n,
      [&](uint32_t first, uint32_t, RunArguments* run) {
        run->x = x + first * plan_->sample_bytes();
        run->labels = labels + first;
        return check_words(run);
      },
      report);
}

// Whether all numbers of a tensor of floats (or bfloat16, whose exponent is as wide) are finite.
Status Session::check_values(TensorId tensor, uint64_t elements, bool* finite) {
  const uint32_t element_bytes = dtype_bytes(plan_->program.tensors[tensor].dtype);
  uint8_t buffer[4096];
  *finite = true;
  for (uint64_t first = 0; first < elements && *finite; first += sizeof buffer / element_bytes) {
    const uint64_t n = std::min<uint64_t>(sizeof buffer / element_bytes, elements - first);
    LT_TRY(executor_->download(tensor, first * element_bytes, buffer, n * element_bytes));
    LT_TRY(executor_->synchronize());
    for (uint64_t i = 0; i < n; ++i) {
      // The upper half of a little-endian float, which is the bfloat16: all ones in the exponent are infinities and NaN.
      uint16_t upper;
      std::memcpy(&upper, buffer + (i + 1) * element_bytes - sizeof upper, sizeof upper);
      *finite = *finite && (upper & 0x7f80) != 0x7f80;
    }
  }
  return Status::ok;
}

// A loss of this batch is NaN or infinite, and the update was left out. Looks for where that began: a weight, or else the
// first operation whose output is not finite when the last micro-batch runs forward once more.
Status Session::report_non_finite(const RunArguments& last) {
  const uint64_t step = step_ + 1;
  const Program& program = plan_->program;
  bool finite = true;
  for (const Parameter& parameter : plan_->parameters) {
    LT_TRY(check_values(parameter.tensor, parameter.elements(), &finite));
    if (!finite)
      return fail(Status::numeric,
                  "step %" PRIu64
                  ": the loss is NaN or infinite: %s became so in an update before; lower the learning rate (%g)",
                  step, parameter.name.c_str(), plan_->recipe.lr);
  }
  for (uint32_t i = 0; i + 1 < program.forward_end; ++i) {
    LT_TRY(executor_->run(i, i + 1, last));
    // Rows of a weight, which is finite; behind the different ones lies anything.
    if (program.ops[i].kind == OpKind::embedding && program.ops[i].rows != no_tensor) continue;
    LT_TRY(check_values(program.ops[i].y, last.samples * program.tensors[program.ops[i].y].sample_elements, &finite));
    if (!finite)
      return fail(Status::numeric, "step %" PRIu64 ": the output of %s is NaN or infinite; weights are as before the step",
                  step, program.ops[i].layer.c_str());
  }
  return fail(Status::numeric, "step %" PRIu64 ": the loss is NaN or infinite; weights are as before the step", step);
}

}  // namespace lt
