// The samples that a trained model is asked about: a data set's split, or one file of its kind. Set-up only; the data set belongs
// to the structure. A kind of data that is asked about in another form (such as lines of text) is added here.
#pragma once

#include <string>

#include "tools/data_source.h"

namespace lt::tool {

struct Samples {
  DatasetPtr dataset;
  lt_dataset_info info;
  bool labelled = true;
  std::string description;  // "test set of mnist in /data/mnist", "digits-idx3-ubyte, without labels"
};

// `kind` as the plan names it; `given`: a folder, a file, or "" for where a training would find its data. `split` counts for
// folders. On failure the sentence is lt_last_error().
lt_status open_samples(const std::string& kind, const std::string& given, lt_split split, Samples* samples);

}  // namespace lt::tool
