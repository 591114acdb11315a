#include "src/run/batch_norm.h"

#include <cmath>
#include <cstring>

#include "src/run/checkpoint.h"

namespace lt {
namespace {

// Files do not align their tensors.
double element(const SafetensorsEntry& entry, uint64_t index) {
  float value;
  std::memcpy(&value, entry.bytes + index * sizeof value, sizeof value);
  return static_cast<double>(value);
}

double factor(const Parameter& parameter, const BatchNormTensors& tensors, uint64_t channel) {
  return element(*tensors.weight, channel) / std::sqrt(element(*tensors.variance, channel) + parameter.epsilon);
}

}  // namespace

Status batch_norm_find(const SafetensorsReader& reader, const Plan& plan, const Parameter& parameter,
                       BatchNormTensors* tensors) {
  const std::vector<uint64_t> dims = {parameter.out};
  const auto find = [&](const char* what, const SafetensorsEntry** found) {
    return weights_find_tensor(reader, plan, parameter.batch_norm + what, dims, found);
  };
  LT_TRY(find(".weight", &tensors->weight));
  LT_TRY(find(".bias", &tensors->bias));
  LT_TRY(find(".running_mean", &tensors->mean));
  LT_TRY(find(".running_var", &tensors->variance));
  for (uint64_t channel = 0; channel < parameter.out; ++channel) {
    const double variance = element(*tensors->variance, channel);
    if (!(variance >= 0 && std::isfinite(variance)))
      return fail(Status::mismatch, "%s: element %llu of \"%s.running_var\" is %g, expected a finite number, 0 or greater",
                  reader.file().path().c_str(), static_cast<unsigned long long>(channel), parameter.batch_norm.c_str(),
                  variance);
  }
  return Status::ok;
}

void batch_norm_fold(const Parameter& parameter, const BatchNormTensors& tensors, float* values) {
  for (uint64_t channel = 0; channel < parameter.out; ++channel) {
    const double scale = factor(parameter, tensors, channel);
    if (parameter.is_bias) {
      values[channel] = static_cast<float>(element(*tensors.bias, channel) - element(*tensors.mean, channel) * scale);
      continue;
    }
    float* const row = values + channel * parameter.fan_in;
    for (uint64_t i = 0; i < parameter.fan_in; ++i) row[i] = static_cast<float>(static_cast<double>(row[i]) * scale);
  }
}

}  // namespace lt
