// Where a model's data comes from: --data, $LEAN_TRAIN_DATA, the user's cache folder, else the built-in stand-in, which is
// always said. Set-up only; the data sets belong to the structure.
#pragma once

#include <string>

#include "tools/exit_code.h"
#include "tools/handles.h"

namespace lt::tool {

struct DataSource {
  DatasetPtr train, test;
  lt_dataset_info train_info, test_info;
  std::string folder;       // "" for built-in data
  std::string description;  // "mnist in /data/mnist", "synthetic digits (built in); MNIST: lean-train data get mnist"
};

// $XDG_CACHE_HOME/lean-train or ~/.cache/lean-train; "" where neither can be told.
std::string cache_folder();

// `kind` as the plan names it, `given` the value of --data or "". On failure the sentence is lt_last_error().
// Where the files of a kind are: `given`, or else the first of the places named above that has some; "" for none.
std::string data_folder(const std::string& kind_name, const std::string& given);

lt_status open_data(const std::string& kind, const std::string& given, DataSource* source);

}  // namespace lt::tool
