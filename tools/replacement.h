// A file written beside its place and renamed into it, in one piece or not at all. Owns its descriptor and its temporary
// file; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tools/data_download.h"

namespace lt::tool {

// A temporary file beside `path`, removed unless it was put in place.
class Replacement {
 public:
  explicit Replacement(const std::string& path);
  ~Replacement();
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  bool good() const { return error_ == 0; }
  bool write(const uint8_t* bytes, size_t n);
  // The first bytes once more: `n` at most as many as were written.
  bool rewrite_head(const uint8_t* bytes, size_t n);
  // Durable, and in place of the old file.
  bool commit();
  // Why the last call returned false.
  Fetched failed() const;

 private:
  std::string path_, temporary_;
  int descriptor_ = -1, error_ = 0;
  bool done_ = false;
};

}  // namespace lt::tool
