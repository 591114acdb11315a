#include "tools/npy_file.h"

#include <bit>
#include <cinttypes>
#include <cstdio>

namespace lt::tool {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

NpyFile::NpyFile(const std::string& path, uint64_t rows, uint32_t columns) : file_(path), columns_(columns) {
  constexpr int header = 128, in_front = 10;
  char text[header + 1];
  std::snprintf(text, sizeof text,
                "\x93NUMPY%c%c%c%c{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu32 "), }", 1, 0,
                header - in_front, 0, rows, columns);
  int used = in_front;
  while (text[used] != '\0') ++used;
  while (used < header - 1) text[used++] = ' ';
  text[header - 1] = '\n';
  file_.write(reinterpret_cast<const uint8_t*>(text), header);
}

bool NpyFile::write(const float* values, uint64_t rows) {
  return file_.write(reinterpret_cast<const uint8_t*>(values), rows * columns_ * sizeof *values);
}

}  // namespace lt::tool
