#include "src/base/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

namespace lt {
namespace {

static_assert(sizeof(XXH3_state_t) <= sizeof(Digest) && alignof(XXH3_state_t) <= alignof(Digest));

XXH3_state_t* state_of(std::byte* bytes) { return reinterpret_cast<XXH3_state_t*>(bytes); }

}  // namespace

Digest::Digest() { XXH3_128bits_reset(state_of(state_)); }

void Digest::update(const void* bytes, size_t n) { XXH3_128bits_update(state_of(state_), bytes, n); }

void Digest::finish(uint8_t out[16]) const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(reinterpret_cast<const XXH3_state_t*>(state_)));
  std::memcpy(out, canonical.digest, sizeof canonical.digest);
}

void digest_text(const uint8_t digest[16], char* digits) {
  constexpr char hex[] = "0123456789abcdef";
  for (int i = 0; i < 16; ++i) {
    digits[2 * i] = hex[digest[i] >> 4];
    digits[2 * i + 1] = hex[digest[i] & 15];
  }
}

}  // namespace lt
