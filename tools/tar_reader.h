// Reads a tar archive that is packed by gzip, or is not packed, entry by entry, in the ustar format (POSIX.1-1988) and its
// forerunner. Extended headers (pax, GNU) are entries like others, to be stepped over. Names are given out as they stand
// in the archive: compare them, never use them as paths. An archive is a row of entries and ends with a block of zeros:
//
//   byte   0   name, 100 bytes, ended by a zero where it is shorter
//        100   mode, owner, group
//        124   size, 12 bytes: octal digits
//        136   time
//        148   checksum, 8 bytes: octal digits; the sum of the header's bytes with spaces in this place
//        156   type: '0' or zero a file, '5' a folder; others exist
//        157   name of a link's target
//        257   "ustar"
//        345   what precedes the name and a slash, 155 bytes (ustar)
//        512   the file's bytes, filled up to a multiple of 512
//
// Owns the file; buffers of a fixed size; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/gzip_reader.h"

namespace lt::tool {

struct TarEntry {
  std::string name;  // without a leading "./"
  uint64_t bytes = 0;
  bool is_file = false;
};

class TarReader {
 public:
  explicit TarReader(const std::string& path) : path_(path), packed_(path) {}

  // The next entry's header, what was not read of the last entry stepped over. `end` is true at the archive's end.
  Fetched next(TarEntry* entry, bool* end);
  // The next n bytes of the entry, which has as many left.
  Fetched read(uint8_t* out, size_t n);
  // After the end: on to where gzip's checksum stands, no further than `limit` bytes.
  Fetched finish(uint64_t limit);

  // "PATH: what", as Fetched::wrong_bytes.
  Fetched wrong(const std::string& what) const { return {Fetched::wrong_bytes, path_ + ": " + what}; }

 private:
  Fetched step_over(uint64_t bytes);

  std::string path_, name_;
  GzipReader packed_;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(1 << 16);
  uint64_t left_ = 0, filling_ = 0;  // of the entry, and of its last block
  bool first_ = true;
};

}  // namespace lt::tool
