// XXH3-128 in the canonical order of bytes: see hash.h.
#include "data/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

namespace lt::data {

void hash_parts(std::span<const HashedPart> parts, uint8_t out[16]) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const HashedPart& part : parts) XXH3_128bits_update(&state, part.bytes, part.size);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
  std::memcpy(out, canonical.digest, sizeof canonical.digest);
}

std::string hash_digits(const uint8_t hash[16]) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 16; ++i) {
    text += digits[hash[i] >> 4];
    text += digits[hash[i] & 15];
  }
  return text;
}

}  // namespace lt::data
