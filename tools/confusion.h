// How often samples of each class were taken for each class. Owns its counts; one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "tools/terminal.h"

namespace lt::tool {

class Confusion {
 public:
  explicit Confusion(uint32_t classes) : classes_(classes), counts_(uint64_t{classes} * classes) {}

  void add(uint32_t label, uint32_t predicted) { ++counts_[uint64_t{label} * classes_ + predicted]; }
  // The matrix, a row a true class; then precision (of what was taken for a class, how much was) and recall (of a class, how much
  // was found) of each, and the accuracy. "-" where there is nothing to divide by.
  void print(StandardOutput* out) const;
  // The same as one JSON object; null where there is nothing to divide by.
  void print_json(StandardOutput* out) const;

 private:
  uint64_t count(uint32_t label, uint32_t predicted) const { return counts_[uint64_t{label} * classes_ + predicted]; }
  double precision(uint32_t c) const;  // NaN where there is none
  double recall(uint32_t c) const;
  double accuracy() const;

  uint32_t classes_;
  std::vector<uint64_t> counts_;  // [label][predicted]
};

}  // namespace lt::tool
