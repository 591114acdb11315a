// XXH3-128 of bytes that come in pieces. Nothing here allocates; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lt {

inline constexpr size_t digest_digits = 32;

class Digest {
 public:
  Digest();
  void update(const void* bytes, size_t n);
  // Of all bytes so far, big-endian as XXH128_canonicalFromHash writes it.
  void finish(uint8_t out[16]) const;

 private:
  alignas(64) std::byte state_[640];  // an XXH3_state_t
};

// 32 hex digits, without a zero behind them.
void digest_text(const uint8_t digest[16], char* digits);

}  // namespace lt
