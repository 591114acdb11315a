// A file written beside its place and renamed into it, in one piece or not at all: FileReplacement, for those who write a
// piece after the other and ask at the end whether all went well. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/file.h"
#include "tools/data_download.h"

namespace lt::tool {

// A temporary file beside `path`, removed unless it was put in place.
class Replacement {
 public:
  explicit Replacement(const std::string& path);

  bool good() const { return why_.empty(); }
  // After a failure all of these do nothing, and are false.
  bool write(const uint8_t* bytes, size_t n);
  // The first bytes once more: `n` at most as many as were written.
  bool rewrite_head(const uint8_t* bytes, size_t n);
  // Durable, and in place of the old file.
  bool commit();
  // What went wrong.
  Fetched failed() const { return {Fetched::local, why_}; }

 private:
  bool take(Status status);

  FileReplacement file_;
  std::string why_;
};

}  // namespace lt::tool
