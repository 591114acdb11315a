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

}  // namespace lt::data
