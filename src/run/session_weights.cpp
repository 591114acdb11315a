// The session's parameters: read and written by name, saved to and loaded from files.
#include <cinttypes>
#include <cstring>

#include "src/base/safetensors.h"
#include "src/run/session.h"
#include "src/run/weights.h"

namespace lt {
namespace {

std::string shape_text(const std::vector<uint64_t>& shape) {
  std::string text;
  for (const uint64_t dimension : shape) text += (text.empty() ? "" : " x ") + std::to_string(dimension);
  return "[" + text + "]";
}

}  // namespace

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
  return weights_write(*plan_, *found, values, executor_.get());
}

Status Session::save(const char* path) {
  SafetensorsWriter writer;
  std::vector<SafetensorsWriter::Tensor> tensors;
  uint64_t largest = 0;
  for (const Parameter& parameter : plan_->parameters) {
    tensors.push_back({parameter.name, parameter.dims});
    largest = std::max(largest, parameter.elements());
  }
  LT_TRY(bring_up_to_date());
  LT_TRY(writer.create(path, {{"format", "pt"}, {"model", plan_->recipe.name}}, tensors));
  std::vector<float> values(largest);
  for (const Parameter& parameter : plan_->parameters) {
    LT_TRY(weights_read(*plan_, parameter, executor_.get(), values.data()));
    LT_TRY(writer.write_tensor(values.data(), parameter.elements()));
  }
  return writer.commit();
}

// Everything is checked before the first weight changes.
Status Session::load_weights(const char* path, uint32_t* ignored) {
  SafetensorsReader reader;
  LT_TRY(SafetensorsReader::open(path, &reader));
  std::vector<const SafetensorsEntry*> found;
  uint64_t largest = 0;
  for (const Parameter& parameter : plan_->parameters) {
    const SafetensorsEntry* entry = reader.find(parameter.name);
    if (!entry)
      return fail(Status::mismatch, "%s: has no tensor \"%s\" of model %s", path, parameter.name.c_str(),
                  plan_->recipe.name.c_str());
    if (entry->dtype != "F32")
      return fail(Status::mismatch, "%s: tensor \"%s\" is %s, expected F32", path, parameter.name.c_str(),
                  entry->dtype.c_str());
    if (entry->shape != parameter.dims)
      return fail(Status::mismatch, "%s: tensor \"%s\" is %s, model %s has %s", path, parameter.name.c_str(),
                  shape_text(entry->shape).c_str(), plan_->recipe.name.c_str(), shape_text(parameter.dims).c_str());
    found.push_back(entry);
    largest = std::max(largest, parameter.elements());
  }
  LT_TRY(bring_up_to_date());
  std::vector<float> values(largest);
  for (size_t i = 0; i < found.size(); ++i) {
    std::memcpy(values.data(), found[i]->bytes, found[i]->end - found[i]->begin);
    LT_TRY(weights_write(*plan_, plan_->parameters[i], values.data(), executor_.get()));
  }
  if (ignored) *ignored = static_cast<uint32_t>(reader.entries().size() - found.size());
  return Status::ok;
}

}  // namespace lt
