// Reads a file packed by gzip, or one that is not packed, from its beginning to its end. Owns the file; a buffer of a fixed
// size; one thread at a time.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "tools/data_download.h"

namespace lt::tool {

class GzipReader {
 public:
  // A file that cannot be opened is told by the first read.
  explicit GzipReader(const std::string& path);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  // Fills `out` with n bytes, or with fewer at the end alone: `got` says how many. Damage is Fetched::wrong_bytes.
  Fetched read(uint8_t* out, size_t n, size_t* got);

 private:
  std::string path_;
  gzFile file_;
  int error_ = 0;
  uint64_t done_ = 0;
};

}  // namespace lt::tool
