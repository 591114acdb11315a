// The session's parameters: read and written by name, and loaded from files of weights.
#include <cinttypes>
#include <cstring>

#include "src/base/safetensors_checksum.h"
#include "src/run/batch_norm.h"
#include "src/run/checkpoint.h"
#include "src/run/session.h"
#include "src/run/weights.h"

namespace lt {

const Parameter* Session::parameter(const char* name) const {
  for (const Parameter& parameter : plan_->parameters)
    if (parameter.name == name) return &parameter;
  (void)fail(Status::argument, "model %s has no tensor \"%.100s\"", plan_->recipe.name.c_str(), name);
  return nullptr;
}

Status Session::bring_up_to_date() {
  const auto end = static_cast<uint32_t>(plan_->program.ops.size());
  if (plan_->program.step_end == end) return Status::ok;
  return executor_->run(plan_->program.step_end, end, arguments(1, 0, 1, false));
}

Status Session::read(const char* name, float* values, size_t floats) {
  const Parameter* found = parameter(name);
  if (!found) return Status::argument;
  if (floats != found->elements())
    return fail(Status::argument, "room for %zu numbers, %s has %" PRIu64, floats, name, found->elements());
  LT_TRY(bring_up_to_date());
  return weights_read(*plan_, *found, executor_.get(), values);
}

Status Session::write(const char* name, const float* values, size_t floats) {
  const Parameter* found = parameter(name);
  if (!found) return Status::argument;
  if (floats != found->elements())
    return fail(Status::argument, "%zu numbers given, %s has %" PRIu64, floats, name, found->elements());
  LT_TRY(bring_up_to_date());
  calibrated_ = false;
  return weights_write(*plan_, *found, values, executor_.get());
}

// Everything is checked before the first weight changes.
Status Session::load_weights(const char* path, uint32_t* ignored) {
  SafetensorsReader reader;
  LT_TRY(SafetensorsReader::open(path, &reader));
  bool has_checksum = false;
  LT_TRY(safetensors_check(reader, &has_checksum));
  if (reader.metadata("lean_train") && !has_checksum)
    return fail(Status::format, "%s: has lost its checksum; take another copy of it", path);
  std::vector<const SafetensorsEntry*> found;
  LT_TRY(weights_find(reader, *plan_, &found));
  std::vector<BatchNormTensors> norms(found.size());
  size_t used = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const Parameter& parameter = plan_->parameters[i];
    used += found[i] != nullptr;
    if (parameter.batch_norm.empty()) continue;
    LT_TRY(batch_norm_find(reader, *plan_, parameter, &norms[i]));
    used += parameter.is_bias ? 4 : 0;
  }
  uint64_t largest = 0;
  for (const Parameter& parameter : plan_->parameters) largest = std::max(largest, parameter.elements());
  LT_TRY(bring_up_to_date());
  calibrated_ = false;
  std::vector<float> values(largest);
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i] != nullptr) std::memcpy(values.data(), found[i]->bytes, found[i]->end - found[i]->begin);
    if (norms[i].weight != nullptr) batch_norm_fold(plan_->parameters[i], norms[i], values.data());
    LT_TRY(weights_write(*plan_, plan_->parameters[i], values.data(), executor_.get()));
  }
  // A checkpoint's optimizer state is nothing foreign.
  size_t foreign = reader.entries().size() - used;
  for (const SafetensorsEntry& entry : reader.entries())
    foreign -= has_checksum && entry.name.starts_with(optimizer_prefix);
  if (ignored) *ignored = static_cast<uint32_t>(foreign);
  return Status::ok;
}

}  // namespace lt
