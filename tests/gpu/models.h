// What the tests of this folder train: the built-in models, at sizes that take a GPU a second.
#pragma once

#include <cctype>
#include <map>
#include <string>

#include "tests/cuda/small_training.h"

namespace lt::cuda {

struct Model {
  const char* recipe;
  const char* data;
  uint32_t samples;  // of the training set: some batches and a short one, or one step's
};
inline constexpr Model models[] = {
    {"mnist/cnn-same", "synthetic-digits", 21 * 64 + 30}, {"mnist/cnn-valid", "synthetic-digits", 10 * 256 + 30},
    {"mnist/linear", "synthetic-digits", 2048},           {"mnist/nn", "synthetic-digits", 2048},
    {"cifar10", "synthetic-images", 21 * 64 + 30},
};

inline const Samples& samples_of(const Model& model) {
  static std::map<std::string, Samples> drawn;
  return drawn.try_emplace(model.recipe, model.data, model.samples).first->second;
}

inline std::string word(std::string text) {
  for (char& c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return text;
}

}  // namespace lt::cuda
