#include "tools/npy_file.h"

#include <bit>
#include <cinttypes>
#include <cstdio>

namespace lt::tool {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

namespace {
constexpr int header_bytes = 128, in_front = 10;

struct Header {
  char text[header_bytes + 1];
  const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(text); }
};

// Of one length, whatever the number of rows.
Header header_of(uint64_t rows, uint32_t columns) {
  Header header;
  std::snprintf(header.text, sizeof header.text,
                "\x93NUMPY%c%c%c%c{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu32 "), }", 1, 0,
                header_bytes - in_front, 0, rows, columns);
  int used = in_front;
  while (header.text[used] != '\0') ++used;
  while (used < header_bytes - 1) header.text[used++] = ' ';
  header.text[header_bytes - 1] = '\n';
  return header;
}
}  // namespace

NpyFile::NpyFile(const std::string& path, uint32_t columns) : file_(path), columns_(columns) {
  file_.write(header_of(0, columns).bytes(), header_bytes);
}

bool NpyFile::write(const float* values, uint64_t rows) {
  rows_ += rows;
  return file_.write(reinterpret_cast<const uint8_t*>(values), rows * columns_ * sizeof *values);
}

bool NpyFile::commit() { return file_.rewrite_head(header_of(rows_, columns_).bytes(), header_bytes) && file_.commit(); }

}  // namespace lt::tool
