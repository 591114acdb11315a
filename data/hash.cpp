// Over the ground floor's digest: see hash.h.
#include "data/hash.h"

#include "src/base/digest.h"

namespace lt::data {

void hash_parts(std::span<const HashedPart> parts, uint8_t out[16]) {
  Digest digest;
  for (const HashedPart& part : parts) digest.update(part.bytes, part.size);
  digest.finish(out);
}

std::string hash_digits(const uint8_t hash[16]) {
  std::string text(digest_digits, '0');
  digest_text(hash, text.data());
  return text;
}

}  // namespace lt::data
