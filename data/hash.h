// The hash of a data set's bytes, as dataset.h describes it. Any thread; nothing is allocated.
#pragma once

#include <cstdint>
#include <span>

namespace lt::data {

struct HashedPart {
  const void* bytes;
  uint64_t size;
};

// XXH3-128 over the parts' bytes, one after the other, big-endian.
void hash_parts(std::span<const HashedPart> parts, uint8_t out[16]);

}  // namespace lt::data
