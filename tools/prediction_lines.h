// Predictions as CSV or JSON lines on stdout. Main thread.
#pragma once

#include <cstdint>
#include <string>

#include "tools/terminal.h"

namespace lt::tool {

// The class of the largest probability, the first of equals.
uint32_t likeliest(const float* probabilities, uint32_t classes);

// One sample a line: its number, its name and its label where they are known, the likeliest class, and all probabilities.
class PredictionLines {
 public:
  PredictionLines(bool json, bool labelled, bool named, uint32_t classes)
      : json_(json), labelled_(labelled), named_(named), classes_(classes) {}

  // The names of the columns, where the form has them.
  void head(StandardOutput* out) const;
  void sample(uint64_t index, uint32_t label, const std::string& name, const float* probabilities,
              StandardOutput* out) const;

 private:
  bool json_, labelled_, named_;
  uint32_t classes_;
};

}  // namespace lt::tool
