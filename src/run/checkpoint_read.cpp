// Reading checkpoints: nothing changes before everything is checked. The format stands in checkpoint.h.
#include <charconv>
#include <cstring>
#include <string_view>

#include "src/base/checked.h"
#include "src/base/safetensors_checksum.h"
#include "src/run/checkpoint.h"

namespace lt {
namespace {

std::string shape_text(const std::vector<uint64_t>& shape) {
  std::string text;
  for (const uint64_t dimension : shape) text += (text.empty() ? "" : " x ") + std::to_string(dimension);
  return "[" + text + "]";
}

// The metadata's texts, held against what this training is and taken apart. The first failure stays.
class Fields {
 public:
  explicit Fields(const SafetensorsReader& reader) : reader_(reader), path_(reader.file().path().c_str()) {}

  Status text(const char* key, std::string* value) const {
    const std::string* found = reader_.metadata(key);
    if (!found) return fail(Status::format, "%s: has no \"%s\" in its metadata; it is no whole checkpoint", path_, key);
    *value = *found;
    return Status::ok;
  }

  bool has(const char* key) const { return reader_.metadata(key) != nullptr; }

  template <class Number>
  Status number(const char* key, Number most, Number* value) const {
    std::string found;
    LT_TRY(text(key, &found));
    Number result{};
    const char* const end = found.data() + found.size();
    const auto read = std::from_chars(found.data(), end, result);
    if (read.ec != std::errc{} || read.ptr != end || found[0] == '-' || !(result <= most))
      return fail(Status::format, "%s: \"%s\" is \"%.40s\", expected a number from 0 to %s", path_, key, found.c_str(),
                  std::to_string(most).c_str());
    *value = result;
    return Status::ok;
  }

  Status same(const char* key, const std::string& here) const {
    std::string found;
    LT_TRY(text(key, &found));
    return found == here ? Status::ok : differs(key, found, here);
  }

  // `usual` is not written.
  Status same(const char* key, const std::string& here, const std::string& usual) const {
    const std::string* found = reader_.metadata(key);
    const std::string& there = found ? *found : usual;
    return there == here ? Status::ok : differs(key, there, here);
  }

  Status differs(const std::string& field, const std::string& there, const std::string& here) const {
    return fail(Status::mismatch,
                "%s: differs in %.100s: the checkpoint has %.100s, this training %.100s; to start a new training from its "
                "weights, give it by --weights",
                path_, field.c_str(), there.c_str(), here.c_str());
  }

  // Names the first line of the recipe that differs: "lr", or "out_channels of conv1".
  Status same_recipe(const std::string& here) const {
    std::string there;
    LT_TRY(text("recipe", &there));
    std::string_view a = there, b = here;
    std::string layer;
    while (!a.empty() || !b.empty()) {
      const std::string_view line_a = next_line(&a), line_b = next_line(&b);
      if (line_a == line_b) {
        if (line_a == "[[layer]]") layer = "a layer";
        if (!layer.empty() && key_of(line_a) == "name") layer = value_of(line_a);
        continue;
      }
      const std::string_view key = key_of(line_a);
      if (key.empty() || key != key_of(line_b))
        return differs(layer.empty() ? "its recipe" : "its recipe, after " + layer, quoted(line_a), quoted(line_b));
      return differs(std::string(key) + (layer.empty() ? "" : " of " + layer), std::string(value_of(line_a)),
                     std::string(value_of(line_b)));
    }
    return Status::ok;
  }

 private:
  static std::string_view next_line(std::string_view* text) {
    while (!text->empty()) {
      const size_t end = text->find('\n');
      const std::string_view line = text->substr(0, end);
      *text = end == std::string_view::npos ? std::string_view() : text->substr(end + 1);
      if (!line.empty()) return line;
    }
    return {};
  }
  static std::string_view key_of(std::string_view line) {
    const size_t equals = line.find(" = ");
    return equals == std::string_view::npos ? std::string_view() : line.substr(0, equals);
  }
  static std::string_view value_of(std::string_view line) { return line.substr(line.find(" = ") + 3); }
  static std::string quoted(std::string_view line) {
    return line.empty() ? "nothing there" : "'" + std::string(line) + "'";
  }

  const SafetensorsReader& reader_;
  const char* path_;
};

Status check_data(const Fields& fields, const TrainingData& data) {
  TrainingData there;
  LT_TRY(fields.text("data", &there.name));
  LT_TRY(fields.text("data_hash", &there.hash));
  if (there.name.empty() && data.name.empty()) return Status::ok;
  if (there.name != data.name)
    return fields.differs("data", there.name.empty() ? "no data set" : there.name, data.name.empty() ? "none" : data.name);
  return there.hash == data.hash
             ? Status::ok
             : fields.differs("data_hash", there.hash + " (" + there.name + ")", data.hash + " (" + data.name + ")");
}

Status read_place(const char* path, const Fields& fields, uint32_t epoch_samples, TrainingPlace* place) {
  TrainingPlace result;
  LT_TRY(fields.number("step", UINT64_MAX - 1, &result.step));
  LT_TRY(fields.number("epoch", UINT64_MAX - 1, &result.epoch));
  LT_TRY(fields.number("position", epoch_samples == 0 ? 0 : epoch_samples - 1, &result.position));
  LT_TRY(fields.number("epoch_samples", UINT64_MAX, &result.epoch_samples));
  LT_TRY(fields.number("epoch_correct", result.epoch_samples, &result.epoch_correct));
  LT_TRY(fields.number("epoch_loss_sum", 1e300, &result.epoch_loss_sum));
  if (fields.has("best_epoch")) {  // older files have none
    LT_TRY(fields.number("best_epoch", result.epoch, &result.best_epoch));
    LT_TRY(fields.number("best_test_accuracy", 1.0, &result.best_test_accuracy));
  }
  std::string end;
  LT_TRY(fields.text("epoch_end", &end));
  if (end != "no" && end != "reached" && end != "evaluated")
    return fail(Status::format, "%s: \"epoch_end\" is \"%.40s\", expected no, reached or evaluated", path, end.c_str());
  result.epoch_end = end == "no" ? EpochEnd::no : end == "reached" ? EpochEnd::reached : EpochEnd::evaluated;
  if (result.epoch_end != EpochEnd::no && (result.position != 0 || result.epoch == 0))
    return fail(Status::format, "%s: \"epoch_end\" is \"%s\" at position %u of epoch %llu", path, end.c_str(),
                result.position, static_cast<unsigned long long>(result.epoch));
  *place = result;
  return Status::ok;
}

}  // namespace

Status weights_find_tensor(const SafetensorsReader& reader, const Plan& plan, const std::string& name,
                           const std::vector<uint64_t>& dims, const SafetensorsEntry** found) {
  const char* const path = reader.file().path().c_str();
  const SafetensorsEntry* entry = reader.find(name);
  if (!entry)
    return fail(Status::mismatch, "%s: has no tensor \"%s\" of model %s", path, name.c_str(), plan.recipe.name.c_str());
  if (entry->dtype != "F32")
    return fail(Status::mismatch, "%s: tensor \"%s\" is %s, expected F32", path, name.c_str(), entry->dtype.c_str());
  if (entry->shape != dims)
    return fail(Status::mismatch, "%s: tensor \"%s\" is %s, model %s has %s", path, name.c_str(),
                shape_text(entry->shape).c_str(), plan.recipe.name.c_str(), shape_text(dims).c_str());
  *found = entry;
  return Status::ok;
}

Status weights_find(const SafetensorsReader& reader, const Plan& plan, std::vector<const SafetensorsEntry*>* found) {
  for (const Parameter& parameter : plan.parameters) {
    found->emplace_back();
    if (parameter.is_bias && !parameter.batch_norm.empty()) continue;
    LT_TRY(weights_find_tensor(reader, plan, parameter.name, parameter.dims, &found->back()));
  }
  return Status::ok;
}

Status checkpoint_check(const SafetensorsReader& reader) {
  const char* const path = reader.file().path().c_str();
  bool has_checksum = false;
  LT_TRY(safetensors_check(reader, &has_checksum));
  const std::string* version = reader.metadata("lean_train");
  if (!version && !has_checksum)
    return fail(Status::mismatch,
                "%s: is not a checkpoint of lean-train; its weights, if they are the model's, are taken by --weights",
                path);
  if (!version) return fail(Status::format, "%s: has no \"lean_train\" in its metadata; it is no whole checkpoint", path);
  if (!has_checksum) return fail(Status::format, "%s: has lost its checksum; take another copy of it", path);
  if (*version != checkpoint_version)
    return fail(Status::mismatch, "%s: is a \"%.40s\", this lean-train reads \"%s\"", path, version->c_str(),
                checkpoint_version);
  return Status::ok;
}

Status checkpoint_load(const char* path, const Plan& plan, const TrainingData& data, uint32_t epoch_samples,
                       Executor* executor, TrainingPlace* place) {
  SafetensorsReader reader;
  LT_TRY(SafetensorsReader::open(path, &reader));
  LT_TRY(checkpoint_check(reader));
  const Fields fields(reader);
  LT_TRY(fields.same("model", plan.recipe.name));
  LT_TRY(fields.same("precision", precision_name(plan.precision)));
  LT_TRY(fields.same_recipe(checkpoint_recipe(plan.recipe)));
  LT_TRY(fields.same("seed", std::to_string(plan.seed)));
  LT_TRY(fields.same("shuffle", plan.shuffle ? "true" : "false"));
  LT_TRY(fields.same("dropout", plan.dropout ? "true" : "false"));
  LT_TRY(fields.same("skip_bad", plan.skip_bad ? "true" : "false", "false"));
  LT_TRY(check_data(fields, data));  // after the seed, from which synthetic data is made
  TrainingPlace there;
  LT_TRY(read_place(path, fields, epoch_samples, &there));
  const std::vector<CheckpointTensor> tensors = checkpoint_tensors(plan);
  std::vector<const SafetensorsEntry*> found(tensors.size());
  uint64_t largest = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    LT_TRY(weights_find_tensor(reader, plan, tensors[i].name, tensors[i].parameter->dims, &found[i]));
    largest = std::max(largest, tensors[i].parameter->elements());
  }
  // Files written here are read in place; others may hold their numbers at odd addresses.
  std::vector<float> aligned;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto* values = reinterpret_cast<const float*>(found[i]->bytes);
    if (reinterpret_cast<uintptr_t>(found[i]->bytes) % alignof(float) != 0) {
      aligned.resize(largest);
      std::memcpy(aligned.data(), found[i]->bytes, found[i]->end - found[i]->begin);
      values = aligned.data();
    }
    LT_TRY(weights_write(plan, *tensors[i].parameter, tensors[i].place, values, executor));
  }
  // A checkpoint has put nothing off.
  for (const TensorId last_steps : plan.last_steps) {
    const std::vector<int32_t> steps(plan.program.tensors[last_steps].bytes / sizeof(int32_t),
                                     static_cast<int32_t>(there.step));
    LT_TRY(executor->upload(last_steps, 0, steps.data(), steps.size() * sizeof(int32_t)));
    LT_TRY(executor->synchronize());
  }
  *place = there;
  return Status::ok;
}

}  // namespace lt
