// What a model for inference computes of pictures, batch after batch: from the options to the exit status. Main thread,
// once a process.
#pragma once

#include <string>

#include "tools/options.h"

namespace lt::tool {

struct FeatureOptions {
  TrainOptions common;  // those without a meaning here are accepted
  std::string images;   // a folder of pictures; "": the recipe's own data
  std::string out;      // features.npy, or ""
};

int compute_features(const FeatureOptions& options);

}  // namespace lt::tool
