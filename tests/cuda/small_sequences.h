// The recurrent models made short, so that an emulated GPU trains them in seconds: a built-in set's first samples and their
// first steps, and a recipe of as many steps. Widths, layers and words stay as they are.
#pragma once

#include <cstdint>
#include <string>

#include "tests/cuda/small_training.h"

namespace lt::cuda {

// Lengths shrink as the steps do, lists of labels are cut to `labels`.
class ShortSequences {
 public:
  ShortSequences(const char* kind, uint32_t count, uint32_t steps, uint32_t labels = 1);
  ~ShortSequences();
  const lt_dataset* dataset() const { return dataset_; }

 private:
  lt_dataset* dataset_;
};

// The number behind each `key` becomes another.
void replace_numbers(const std::string& key, uint32_t number, std::string* text);

// The built-in model's text with other steps (and labels of a sample, where it has lists of them).
std::string short_recipe(const char* model, uint32_t steps, uint32_t labels = 1);

}  // namespace lt::cuda
