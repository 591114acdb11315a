// The formats that table.cpp lists, each defined in its own file. Constants; any thread may read them.
#pragma once

#include "src/dataset.h"

namespace lt::data {

extern const DatasetFormat cifar10;
extern const DatasetFormat imdb;
extern const DatasetFormat mnist;
extern const DatasetFormat sequences;
extern const DatasetFormat synthetic_digits;
extern const DatasetFormat synthetic_images;
extern const DatasetFormat synthetic_pictures;
extern const DatasetFormat synthetic_reviews;
extern const DatasetFormat toy_sequences, toy_sequences_ctc;

// Single files of samples: DatasetFileFormat::open.
Status open_mnist_file(const char* path, std::unique_ptr<Dataset>* dataset, bool* labelled);
Status open_cifar10_file(const char* path, std::unique_ptr<Dataset>* dataset, bool* labelled);

}  // namespace lt::data
