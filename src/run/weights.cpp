#include "src/run/weights.h"

#include <algorithm>
#include <cmath>

#include "src/base/philox.h"

namespace lt {
namespace {

constexpr uint64_t chunk_elements = 2048;

// Where element (input, output) of a weight stands for PyTorch, and on the device. `input` counts (row, column, channel).
class ElementOrder {
 public:
  ElementOrder(const Parameter& parameter, WeightLayout layout)
      : layout_(layout),
        out_(parameter.out),
        fan_in_(parameter.is_bias ? 1 : parameter.fan_in),
        channels_(parameter.is_bias ? 1 : parameter.in_extent.channels),
        pixels_(fan_in_ / channels_) {}

  uint64_t count() const { return out_ * fan_in_; }
  uint64_t input_of_device(uint64_t index) const {
    return layout_ == WeightLayout::in_out ? index / out_ : index % fan_in_;
  }
  uint64_t output_of_device(uint64_t index) const {
    return layout_ == WeightLayout::in_out ? index % out_ : index / fan_in_;
  }
  // PyTorch: [out][channel][row][column].
  uint64_t torch(uint64_t input, uint64_t output) const {
    return output * fan_in_ + input % channels_ * pixels_ + input / channels_;
  }
  uint64_t device(uint64_t input, uint64_t output) const {
    return layout_ == WeightLayout::in_out ? input * out_ + output : output * fan_in_ + input;
  }
  uint64_t fan_in() const { return fan_in_; }
  // The device's number of the input that PyTorch counts as `at`.
  uint64_t input_of_torch(uint64_t at) const { return at % pixels_ * channels_ + at / pixels_; }
  uint64_t draw(uint64_t input, uint64_t output) const { return input * out_ + output; }

 private:
  WeightLayout layout_;
  uint64_t out_, fan_in_, channels_, pixels_;
};

// Calls fill(buffer, first, n) for the device's elements in ascending pieces and uploads them.
template <class Fill>
Status upload_pieces(const Parameter& parameter, WeightPlace place, Executor* executor, const Fill& fill) {
  float buffer[chunk_elements];
  for (uint64_t first = 0; first < parameter.elements(); first += chunk_elements) {
    const uint64_t n = std::min(chunk_elements, parameter.elements() - first);
    fill(buffer, first, n);
    LT_TRY(executor->upload(place.tensor, place.offset + first * sizeof(float), buffer, n * sizeof(float)));
  }
  return executor->synchronize();
}

// The bound of uniform numbers, or the deviation of normal ones.
float initial_bound(const Parameter& parameter) {
  const auto fan_in = static_cast<double>(parameter.init_bound_in), fan_out = static_cast<double>(parameter.fan_out);
  switch (parameter.init) {
    case Init::torch: return static_cast<float>(1 / std::sqrt(fan_in));
    case Init::xavier: return static_cast<float>(std::sqrt(6 / (fan_in + fan_out)));
    case Init::he: return static_cast<float>(std::sqrt(6 / fan_in));
    case Init::uniform: return 0.05f;
    case Init::normal: return 1;
    // A norm that nothing was seen by yet has mean 0 and variance 1.
    case Init::he_normal_fan_out: return static_cast<float>(std::sqrt(2 / fan_out) / std::sqrt(1 + parameter.epsilon));
    case Init::zeros: return 0;
  }
  return 0;
}

// Box & Muller 1958: two uniform numbers make two normal ones.
float normal_number(const Philox4& random, uint64_t index) {
  const uint64_t pair = index % 4 / 2 * 2;
  const double radius = std::sqrt(-2 * std::log(1 - static_cast<double>(philox_uniform(random.v[pair]))));
  const double angle = 2 * 3.14159265358979323846 * static_cast<double>(philox_uniform(random.v[pair + 1]));
  return static_cast<float>(radius * (index % 2 == 0 ? std::cos(angle) : std::sin(angle)));
}

}  // namespace

Status weights_initialize(const Plan& plan, uint32_t index, Executor* executor) {
  const Parameter& parameter = plan.parameters[index];
  const float bound = initial_bound(parameter);
  const ElementOrder order(parameter, plan.program.weight_layout);
  Philox4 random{};
  uint64_t random_block = UINT64_MAX;
  return upload_pieces(parameter, {parameter.tensor, 0}, executor, [&](float* buffer, uint64_t first, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
      const uint64_t draw = plan.program.weight_layout == WeightLayout::in_out || parameter.is_bias
                                ? first + i
                                : order.draw(order.input_of_device(first + i), order.output_of_device(first + i));
      if (draw / 4 != random_block) {
        random_block = draw / 4;
        random = philox4x32(philox_counter(RandomStream::weights, index, 0, static_cast<uint32_t>(random_block >> 32),
                                           static_cast<uint32_t>(random_block)),
                            plan.seed);
      }
      const bool normal = parameter.init == Init::normal || parameter.init == Init::he_normal_fan_out;
      buffer[i] = bound * (normal ? normal_number(random, draw) : 2 * philox_uniform(random.v[draw % 4]) - 1);
    }
  });
}

Status weights_write(const Plan& plan, const Parameter& parameter, const float* values, Executor* executor) {
  return weights_write(plan, parameter, {parameter.tensor, 0}, values, executor);
}

Status weights_write(const Plan& plan, const Parameter& parameter, WeightPlace place, const float* values,
                     Executor* executor) {
  const ElementOrder order(parameter, plan.program.weight_layout);
  return upload_pieces(parameter, place, executor, [&](float* buffer, uint64_t first, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i)
      buffer[i] = values[order.torch(order.input_of_device(first + i), order.output_of_device(first + i))];
  });
}

Status weights_read(const Plan& plan, const Parameter& parameter, Executor* executor, float* values) {
  const ElementOrder order(parameter, plan.program.weight_layout);
  float buffer[chunk_elements];
  for (uint64_t first = 0; first < order.count(); first += chunk_elements) {
    const uint64_t n = std::min(chunk_elements, order.count() - first);
    LT_TRY(executor->download(parameter.tensor, first * sizeof(float), buffer, n * sizeof(float)));
    LT_TRY(executor->synchronize());
    for (uint64_t i = 0; i < n; ++i)
      values[order.torch(order.input_of_device(first + i), order.output_of_device(first + i))] = buffer[i];
  }
  return Status::ok;
}

// Through a tile of a few inputs by n outputs: whole pieces of a line are read and written on both sides.
Status weights_read_rows(const Plan& plan, const Parameter& parameter, WeightPlace place, uint64_t first, uint64_t n,
                         Executor* executor, float* values) {
  constexpr uint64_t tile_inputs = 16;
  const ElementOrder order(parameter, plan.program.weight_layout);
  const uint64_t fan_in = order.fan_in();
  if (plan.program.weight_layout == WeightLayout::out_in) {
    float row[chunk_elements];
    for (uint64_t output = first; output < first + n; ++output)
      for (uint64_t input = 0; input < fan_in; input += chunk_elements) {
        const uint64_t count = std::min(chunk_elements, fan_in - input);
        LT_TRY(executor->download(place.tensor, place.offset + order.device(input, output) * sizeof(float), row,
                                  count * sizeof(float)));
        LT_TRY(executor->synchronize());
        for (uint64_t i = 0; i < count; ++i) values[order.torch(input + i, output - first)] = row[i];
      }
    return Status::ok;
  }
  float tile[tile_inputs][weight_rows_max];
  for (uint64_t at = 0; at < fan_in; at += tile_inputs) {
    const uint64_t count = std::min(tile_inputs, fan_in - at);
    for (uint64_t i = 0; i < count; ++i)
      LT_TRY(executor->download(place.tensor,
                                place.offset + order.device(order.input_of_torch(at + i), first) * sizeof(float), tile[i],
                                n * sizeof(float)));
    for (uint64_t output = 0; output < n; ++output) {
      float* const row = values + output * fan_in + at;
      for (uint64_t i = 0; i < count; ++i) row[i] = tile[i][output];
    }
  }
  return Status::ok;
}

}  // namespace lt
