// Rows of float32 as a NumPy file (format version 1.0, numpy/lib/format.py), which takes its place in one piece when it is
// whole. One thread; owns its temporary file.
//
//   byte 0   \x93 N U M P Y, version 1 0
//        8   u16, length of the text behind it, so that the rows begin at a multiple of 64
//       10   {'descr': '<f4', 'fortran_order': False, 'shape': (rows, columns), }   blanks, a newline
#pragma once

#include <cstdint>
#include <string>

#include "tools/replacement.h"

namespace lt::tool {

class NpyFile {
 public:
  NpyFile(const std::string& path, uint32_t columns);
  // All three are false where the system refused something: `why` then says what.
  bool good() const { return file_.good(); }
  bool write(const float* values, uint64_t rows);
  // With as many rows as were written.
  bool commit();
  std::string why() const { return file_.failed().why; }

 private:
  Replacement file_;
  const uint32_t columns_;
  uint64_t rows_ = 0;
};

}  // namespace lt::tool
