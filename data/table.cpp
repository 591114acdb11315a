// The data sets of this build, in the order in which they are listed to the user: the only file that names them all.
#include <cstring>

#include "data/formats.h"
#include "src/dataset_file.h"

namespace lt {

const DatasetFormat* const dataset_table[] = {&data::mnist,
                                              &data::cifar10,
                                              &data::imdb,
                                              &data::sequences,
                                              &data::synthetic_digits,
                                              &data::synthetic_images,
                                              &data::synthetic_pictures,
                                              &data::synthetic_reviews,
                                              &data::toy_sequences,
                                              &data::toy_sequences_ctc};
const size_t dataset_table_size = sizeof dataset_table / sizeof *dataset_table;

const DatasetFileFormat dataset_file_table[] = {{"mnist", data::open_mnist_file}, {"cifar10", data::open_cifar10_file}};
const size_t dataset_file_table_size = sizeof dataset_file_table / sizeof *dataset_file_table;

const DatasetFormat* dataset_format(const char* name) {
  for (const DatasetFormat* format : dataset_table) {
    if (std::strcmp(format->name, name) == 0) return format;
  }
  return nullptr;
}

}  // namespace lt
