// Takes files out of a tar archive that is packed by gzip. Names in the archive are compared and never used as paths, so
// nothing in it can lead anywhere else; its size is bounded by what is expected of it. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/data_download.h"

namespace lt::tool {

struct ArchiveMember {
  std::string name;   // in the archive: "cifar-10-batches-bin/test_batch.bin"
  std::string place;  // the path that it gets
  uint64_t bytes;     // its size, neither more nor less
};

// Puts the members in place once the whole archive has been read and found whole; before that nothing has changed. With
// `replace` false, a file that is there and has other bytes than the archive's is left alone, and the call fails.
Fetched unpack_archive(const std::string& from, const std::vector<ArchiveMember>& members, bool replace);

}  // namespace lt::tool
