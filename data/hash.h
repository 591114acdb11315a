// The hash of a data set's bytes, as dataset.h describes it. Any thread; hashing allocates nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace lt::data {

struct HashedPart {
  const void* bytes;
  uint64_t size;
};

// XXH3-128 over the parts' bytes, one after the other, big-endian.
void hash_parts(std::span<const HashedPart> parts, uint8_t out[16]);
// Its 32 hex digits.
std::string hash_digits(const uint8_t hash[16]);

}  // namespace lt::data
