// IDX files, the format of MNIST and its kin: a header of big-endian numbers, then an array of bytes. An IdxFile owns the
// mapping its view points into. Opening allocates the path alone, whatever the header claims; an open one is immutable, and
// any thread may read it.
//
//   byte 0   0x00
//        1   0x00
//        2   type of the elements: 0x08 unsigned byte (others exist and are refused)
//        3   rank: number of dimensions (1: labels; 3: images)
//        4   first dimension, u32 big-endian: number of samples
//        8   second dimension: rows            (rank 3)
//       12   third dimension: columns          (rank 3)
//       4 + 4 rank                             the elements, the last dimension fastest; then the file ends
#pragma once

#include <cstdint>

#include "src/base/file.h"

namespace lt::data {

struct IdxFile {
  MappedFile file;
  uint32_t count = 0, rows = 1, columns = 1;
  const uint8_t* elements = nullptr;  // count * rows * columns bytes
};

// Maps a file of images (rank 3) and checks its header against rows x columns and against the file's size, to the byte.
Status open_idx_images(const char* path, uint32_t rows, uint32_t columns, IdxFile* images);

// Maps a file of labels (rank 1) and checks it likewise, and that every label is below `classes`.
Status open_idx_labels(const char* path, uint32_t classes, IdxFile* labels);

}  // namespace lt::data
