// What the publishers of a data set give out: names, sizes and SHA-256 of the files, and where they can be fetched.
// Constants; any thread may read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lt::tool {

struct PublishedFile {
  const char* name;  // unpacked; NAME.gz is what is fetched, unless the set comes as one archive
  uint64_t bytes;
  const char* sha256;         // "" where the archive's stands for it
  uint64_t packed_bytes = 0;  // of NAME.gz as the publishers packed it; others may have packed it anew
  const char* packed_sha256 = "";
};

// All files of a set in one .tar.gz, in the folder that the set is named after.
struct PublishedArchive {
  const char* name;
  uint64_t bytes;
  const char* sha256;
};

struct PublishedSet {
  const char* name;    // the library's name of the kind
  const char* folder;  // under the user's cache folder, and in the archive
  const PublishedFile* files;
  size_t file_count;
  const char* const* mirrors;  // folders' URLs, tried in order, without a slash at the end
  size_t mirror_count;
  const PublishedArchive* archive = nullptr;  // null: each file is packed by itself
  bool made_of_texts = false;                 // the files are made here of the archive's texts (data_reviews.h)

  uint64_t bytes() const;
  uint64_t packed_bytes() const;
};

// Null where nobody is known to give it out.
const PublishedSet* published_set(const std::string& name);

// "mnist, ..."
std::string published_names();

}  // namespace lt::tool
