// Unpacks a .gz file, or copies one that is not packed, into its place: in one piece or not at all, and never more than
// the announced bytes. Buffers of a fixed size; one thread at a time.
#pragma once

#include <cstdint>
#include <string>

#include "tools/data_download.h"

namespace lt::tool {

// `to` gets exactly `bytes` bytes; where sha256 is not "", these and no others. The old `to` stays where anything fails.
// On success `found_sha256` (may be null) says what was written.
Fetched unpack(const std::string& from, const std::string& to, uint64_t bytes, const std::string& sha256,
               std::string* found_sha256);

}  // namespace lt::tool
