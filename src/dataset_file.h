// Single files of samples, as a trained model is asked about them: one batch of CIFAR-10, images of MNIST. data/table.cpp joins
// the formats that have such files to the core.
#pragma once

#include <cstddef>
#include <memory>

#include "src/dataset.h"

namespace lt {

struct DatasetFileFormat {
  const char* name;  // of the DatasetFormat: "mnist"
  // Samples of one file, with its labels, or those of the file beside it, or none (`labelled` false, all are 0).
  Status (*open)(const char* path, std::unique_ptr<Dataset>* dataset, bool* labelled);
};

// Defined in data/table.cpp.
extern const DatasetFileFormat dataset_file_table[];
extern const size_t dataset_file_table_size;

}  // namespace lt
