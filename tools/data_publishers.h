// What the publishers of a data set give out: names, sizes and SHA-256 of the files, and where they can be fetched.
// Constants; any thread may read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lt::tool {

struct PublishedFile {
  const char* name;  // unpacked; NAME.gz is what is fetched
  uint64_t bytes;
  const char* sha256;
  uint64_t packed_bytes;  // of NAME.gz as the publishers packed it; others may have packed it anew
  const char* packed_sha256;
};

struct PublishedSet {
  const char* name;    // the library's name of the kind
  const char* folder;  // under the user's cache folder
  const PublishedFile* files;
  size_t file_count;
  const char* const* mirrors;  // folders' URLs, tried in order, without a slash at the end
  size_t mirror_count;

  uint64_t bytes() const;
  uint64_t packed_bytes() const;
};

// Null where nobody is known to give it out.
const PublishedSet* published_set(const std::string& name);

// "mnist, ..."
std::string published_names();

}  // namespace lt::tool
