#include "tools/bench_ops_batch.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lt::tool {
namespace {

// Salts keep the streams apart, and apart from those of the weights, which are salted with the number of a tensor.
constexpr uint64_t samples_salt = 1u << 20, lengths_salt = samples_salt + 1;

template <typename Value, typename Draw>
std::vector<uint8_t> bytes_of(uint64_t count, Draw draw) {
  std::vector<uint8_t> bytes(count * sizeof(Value));
  for (uint64_t i = 0; i < count; ++i) {
    const Value value = draw(uniform(i, samples_salt));
    std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
  }
  return bytes;
}

std::vector<uint8_t> samples_of(const Recipe& recipe, uint64_t count) {
  if (recipe.vocabulary != 0) {
    // 1 to the last word, log-uniform; 0 is what stands behind a text's end.
    const double words = recipe.vocabulary;
    return bytes_of<int32_t>(count,
                             [&](double u) { return static_cast<int32_t>(std::min(std::pow(words, u), words - 1)); });
  }
  if (recipe.input_type == DType::u8)
    return bytes_of<uint8_t>(count, [](double u) { return static_cast<uint8_t>(256 * u); });
  return bytes_of<float>(count, [](double u) { return static_cast<float>(2 * u - 1); });
}

// One class, or for a list as many labels as every length can hold, no two neighbours alike, none of them the blank 0.
void add_labels(const Recipe& recipe, uint32_t classes, uint32_t sample, std::vector<int32_t>* labels) {
  if (recipe.loss != LossKind::ctc) {
    labels->push_back(static_cast<int32_t>(sample * 7 % classes));
    return;
  }
  const uint32_t count = std::min(recipe.labels, std::max(1u, recipe.input.height / 2));
  for (uint32_t i = 0; i < recipe.labels; ++i)
    labels->push_back(i < count ? static_cast<int32_t>(1 + (sample * 7 + i) % (classes - 1)) : -1);
}

}  // namespace

double uniform(uint64_t index, uint64_t salt) {
  uint64_t z = index + (salt + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return static_cast<double>((z ^ z >> 31) >> 11) * 0x1p-53;
}

OpsBatch make_ops_batch(const Plan& plan) {
  const Recipe& recipe = plan.recipe;
  const uint32_t samples = plan.program.micro_batch, steps = recipe.input.height;
  OpsBatch batch;
  batch.x = samples_of(recipe, samples * recipe.input.elements());
  for (uint32_t i = 0; i < samples; ++i) add_labels(recipe, plan.classes(), i, &batch.labels);
  if (plan.slot_lengths == no_tensor) return batch;
  for (uint32_t i = 0; i < samples; ++i)
    batch.lengths.push_back(steps - static_cast<uint32_t>(uniform(i, lengths_salt) * (steps / 2)));
  return batch;
}

}  // namespace lt::tool
